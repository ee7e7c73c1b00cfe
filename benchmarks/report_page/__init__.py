"""The HTML report: one file that loads nothing, for a screen, a phone and paper.

Pictures are drawn by matplotlib as SVG whose words are text, the page is filled in by Jinja, which
escapes whatever a result says: results come from anybody. Both are in the extra `report`.
"""

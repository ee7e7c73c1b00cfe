"""Networks trained under one budget and set beside the documents: Table 1, numbers of stacks."""

"""`python -m training`, which is what `torchrun -m training` starts."""

from training.cli import main

if __name__ == "__main__":
    main()

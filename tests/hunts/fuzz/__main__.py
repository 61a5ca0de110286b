"""Run the fuzzing at length."""

from tests.hunts.fuzz.run import main

if __name__ == "__main__":
    main()

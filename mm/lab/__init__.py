"""What measures and breaks a throwaway system. Nothing but the command line imports it."""

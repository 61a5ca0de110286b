"""All tests; each folder mirrors one of ``mm`` or stands for a kind of test."""

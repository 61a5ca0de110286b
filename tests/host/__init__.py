"""Tests of mm/host: data directory, server, children, throwaway systems."""

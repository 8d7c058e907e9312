"""Rows of any kind as rows of finite numbers, and back."""

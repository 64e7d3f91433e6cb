"""Processes, their trees and what the kernel says of them."""

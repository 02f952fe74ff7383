"""Mithaq: the software with which neighbouring states carry out a border-cooperation agreement."""

__version__ = "0.1.0"

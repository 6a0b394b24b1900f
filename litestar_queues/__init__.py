"""A background task queue for Litestar, made to be operated on Kubernetes.

Names are resolved on first use, so that importing the package costs next to nothing.
"""

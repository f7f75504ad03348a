"""A store in several homes: each is a `HomeStore`, and what stands here leads to them."""

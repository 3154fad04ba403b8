"""Hyper-parameter search with Optuna: trials of the ordinary training, in a database that several processes share.

python -m lightning_modules tune --config configs/sentiment.yaml --trials 20
"""

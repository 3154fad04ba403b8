"""Handlers of the plain server that the bundle is compared with, written as TorchServe's users write them: eager fp32,
one request at a time, padded to a fixed length.

They are packed into archives of their own (see plain_archive.py); each file has to define exactly one class. In the
archive's folder lie the files of an export's `hf` and its metadata.json and, for classification, labels.json.
"""

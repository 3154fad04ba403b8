"""Measures a served model beside a plain server and the upper bound of the machine (`python -m loadtest.bench`)."""

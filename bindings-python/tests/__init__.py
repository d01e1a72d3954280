"""The tests of the package: ``python -m unittest discover -s tests -t .``"""

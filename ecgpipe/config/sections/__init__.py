"""The sections of the configuration: one file for each key at the top of config.yaml.

They reach jobs as parameters, with all defaults filled in; digests of code do not follow them.
"""

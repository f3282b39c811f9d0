"""Salesforce: fields of accounts, and tasks about them. README.md in this folder says how to set it up."""

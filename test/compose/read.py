"""Checks a compose file against the specification's JSON schema and prints it as JSON: read.py FILE SCHEMA."""

import json
import sys

import jsonschema
import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    document = yaml.safe_load(file)
with open(sys.argv[2], encoding="utf-8") as file:
    schema = json.load(file)
jsonschema.validators.validator_for(schema)(schema).validate(document)
print(json.dumps(document))

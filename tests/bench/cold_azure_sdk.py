"""A process of its own: import what a plain Azure function on Key Vault does, make its clients."""

import os
import time

began, began_cpu = time.perf_counter(), time.process_time()

import azure.functions  # noqa: F401 - the import is what is timed
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

SecretClient(os.environ["AZURE_KEY_VAULT_URL"], ManagedIdentityCredential())
wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
print(f'{{"wall": {wall}, "cpu": {cpu}}}')

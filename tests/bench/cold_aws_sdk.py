"""A process of its own: import boto3 and make one client, as a plain Lambda function would."""

import time

began, began_cpu = time.perf_counter(), time.process_time()

import boto3

boto3.client("secretsmanager")
wall, cpu = time.perf_counter() - began, time.process_time() - began_cpu
print(f'{{"wall": {wall}, "cpu": {cpu}}}')

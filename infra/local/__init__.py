"""The clouds that run on this machine: for ``make local``, the demo, the tests and the benchmarks.

Everything here has one interface, :class:`infra.local.base.LocalCloud`: it is a context manager
with ``start`` and ``stop``, and ``environment`` holds the variables that lead a program to it::

    with Azurite() as storage:
        subprocess.run(command, env={**own, **storage.environment})

=============================================  ===================================================
``aws.ministack.LocalAws``                     ministack, an independent AWS that runs Lambda
``aws.lambda_functions``                       deploys and invokes functions there
``aws.sim.AwsSimulator``                       our strict Secrets Manager, KMS, S3 and STS
``azure.azurite.Azurite``                      azurite, Microsoft's own Blob Storage emulator
``azure.sim.AzureSimulator``                   our strict Key Vault and Blob Storage
``azure.worker.FunctionApp``                   Microsoft's worker library with a Function App in it
``gcp.fake_gcs_server.FakeGcs``                fake-gcs-server, an independent Cloud Storage
``gcp.sim.GcpSimulator``                       our strict Secret Manager and Cloud Storage
``gcp.framework.FunctionsFramework``           Google's functions-framework with a function in it
``simulator.SimulatorProcess``                 one of our simulators in a process of its own
=============================================  ===================================================

The simulators and the worker library run in the process that starts them. Everything else is an
:class:`infra.local.process.ChildProcess`: it listens on a free port of 127.0.0.1, sees nothing of
the environment of the person who started it, keeps its files in one temporary folder, and ends
with the process that started it, whatever ends that.
"""

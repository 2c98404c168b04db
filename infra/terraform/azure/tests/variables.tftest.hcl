# What is wrong is refused before anything is made.

mock_provider "azurerm" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  resource_group_name = "rotation"
  location            = "westeurope"
}

run "names" {
  command = plan

  variables {
    resource_group_name  = "/subscriptions/x"
    location             = "West Europe"
    name                 = "a-name-that-is-too-long"
    tags                 = { "daena.managed" = "true" }
    key_vault_id         = "my-vault"
    key_vault_dns_suffix = "example.com"
    subnet_id            = "my-subnet"
  }

  expect_failures = [
    var.resource_group_name, var.location, var.name, var.tags, var.key_vault_id, var.key_vault_dns_suffix,
    var.subnet_id,
  ]
}

run "two_hyphens" {
  command = plan

  variables {
    name = "daena--kms"
  }

  expect_failures = [var.name]
}

run "addresses_without_a_subnet" {
  command = plan

  variables {
    allowed_ips = ["192.0.2.10"]
  }

  expect_failures = [var.allowed_ips]
}

run "no_address" {
  command = plan

  variables {
    subnet_id   = "/subscriptions/x/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
    allowed_ips = ["example.com"]
  }

  expect_failures = [var.allowed_ips]
}

run "times" {
  command = plan

  variables {
    deleted_for_days      = 3
    audit_retention_days  = 0
    schedule              = "0 * * * *"
    expected_within_hours = 7
    log_retention_days    = 7
  }

  expect_failures = [
    var.deleted_for_days, var.audit_retention_days, var.schedule, var.expected_within_hours, var.log_retention_days,
  ]
}

run "sizes" {
  command = plan

  variables {
    replication      = "local"
    memory_megabytes = 1024
  }

  expect_failures = [var.replication, var.memory_megabytes]
}

run "people" {
  command = plan

  variables {
    auditor_principal_ids  = ["auditor@example.com"]
    operator_principal_ids = ["*"]
    entra_client_id        = "my-app"
    action_group_ids       = ["on-call"]
  }

  expect_failures = [
    var.auditor_principal_ids, var.operator_principal_ids, var.entra_client_id, var.action_group_ids,
  ]
}

run "policy" {
  command = plan

  variables {
    rotate_after         = "90"
    grace                = "12h"
    min_bits             = 0
    min_interval         = "soon"
    access               = "{}{"
    endpoint_allow       = ["*.internal"]
    endpoint             = "http://hooks.example.com"
    endpoint_secret_name = "https://vault/secrets/s"
  }

  expect_failures = [
    var.rotate_after, var.grace, var.min_bits, var.min_interval, var.access, var.endpoint_allow, var.endpoint, var.endpoint_secret_name,
  ]
}

run "bits_beyond_every_spec" {
  command = plan

  variables {
    min_bits = 513
  }

  expect_failures = [var.min_bits]
}

run "bits_in_parts" {
  command = plan

  variables {
    min_bits = 111.5
  }

  expect_failures = [var.min_bits]
}

run "rules_without_a_deed" {
  command = plan

  variables {
    access = "[{\"who\": \"*\"}]"
  }

  expect_failures = [var.access]
}

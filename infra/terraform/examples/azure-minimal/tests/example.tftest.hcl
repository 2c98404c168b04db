mock_provider "azurerm" {
  source          = "../../azure/tests/mocks"
  override_during = plan
}

run "plan" {
  command = plan

  assert {
    condition     = can(regex("^https://daena-kms-[0-9a-f]{6}\\.vault\\.azure\\.net$", output.key_vault_url))
    error_message = "The vault's address is what the command line needs."
  }

  assert {
    condition     = can(regex("^az://daenakmslog[0-9a-f]{6}/audit$", output.audit_url))
    error_message = "So is the log's."
  }
}

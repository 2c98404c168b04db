data "azurerm_client_config" "current" {}

locals {
  subscription      = "/subscriptions/${data.azurerm_client_config.current.subscription_id}"
  resource_group_id = "${local.subscription}/resourceGroups/${var.resource_group_name}"

  # Vaults, storage accounts and apps have names that are the world's alone.
  suffix  = substr(sha256("${local.resource_group_id}/${var.name}"), 0, 6)
  compact = replace(var.name, "-", "")

  environment = { for name, value in {
    DAENA_CLOUD_KMS_PROVIDER = "azure"
    AZURE_KEY_VAULT_URL      = local.vault.url
    AZURE_CLIENT_ID          = azurerm_user_assigned_identity.rotator.client_id
    DAENA_KMS_AUDIT_URL      = local.audit_url
    DAENA_KMS_CLAIMS_URL     = local.claims_url
    DAENA_KMS_SCHEDULE       = var.schedule
    DAENA_KMS_EXPIRE         = tostring(var.expire)
    DAENA_KMS_ROTATE_AFTER   = var.rotate_after
    DAENA_KMS_GRACE          = var.grace
    DAENA_KMS_MIN_BITS       = var.min_bits == null ? null : tostring(var.min_bits)
    DAENA_KMS_MIN_INTERVAL   = var.min_interval
    DAENA_KMS_HTTP_POLICY    = var.http_policy ? "true" : null
    DAENA_KMS_PAUSED         = tostring(var.paused)
    DAENA_KMS_ACCESS         = var.access
    DAENA_KMS_ENDPOINT       = var.endpoint
    DAENA_KMS_ENDPOINT_ALLOW = length(var.endpoint_allow) == 0 ? null : join(",", var.endpoint_allow)
  } : name => value if value != null }
}

resource "azurerm_user_assigned_identity" "rotator" {
  name                = "${var.name}-rotator"
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
}

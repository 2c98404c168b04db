locals {
  charts = [
    { title = "Rotations", measure = "sum(valueSum)", names = ["rotated", "finished", "retired"] },
    { title = "Failures", measure = "sum(valueSum)", names = ["failed", "left", "skipped"] },
    { title = "Seconds by which the oldest key is over its limit", measure = "max(valueMax)", names = ["lateness"] },
    { title = "Durations (seconds)", measure = "max(valueMax)", names = ["duration"] },
    { title = "Keys", measure = "max(valueMax)", names = ["keys", "overdue", "held"] },
  ]
}

resource "azurerm_application_insights_workbook" "this" {
  name                = uuidv5("url", "${local.resource_group_id}/${var.name}")
  display_name        = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  source_id           = lower(azurerm_application_insights.this.id)
  tags                = var.tags

  data_json = jsonencode({
    version = "Notebook/1.0"
    items = [for index, chart in local.charts : {
      type = 3
      name = "chart-${index}"
      content = {
        version       = "KqlItem/1.0"
        title         = chart.title
        query         = "customMetrics | where name in (${join(", ", [for name in chart.names : "\"daena_kms.${name}\""])}) | summarize ${chart.measure} by name, bin(timestamp, 1h)"
        queryType     = 0
        resourceType  = "microsoft.insights/components"
        visualization = "timechart"
        size          = 0
        timeContext   = { durationMs = 604800000 }
      }
    }]
    fallbackResourceIds = [azurerm_application_insights.this.id]
  })
}

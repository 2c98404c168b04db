locals {
  charts = [
    { title = "Rotations", metrics = ["rotated", "finished", "retired", "destroyed"], aligner = "ALIGN_DELTA" },
    { title = "Failures", metrics = ["failed", "left"], aligner = "ALIGN_DELTA" },
    { title = "Seconds by which the oldest key is over its limit", metrics = ["lateness"], aligner = "ALIGN_DELTA" },
    { title = "Durations (seconds)", metrics = ["seconds"], aligner = "ALIGN_DELTA" },
    { title = "Keys", metrics = ["keys", "held", "overdue"], aligner = "ALIGN_DELTA" },
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName = var.name
    mosaicLayout = {
      columns = 12
      tiles = [for index, chart in local.charts : {
        xPos   = index % 2 * 6
        yPos   = floor(index / 2) * 4
        width  = 6
        height = 4
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [for name in chart.metrics : {
              legendTemplate = name
              plotType       = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = "metric.type=\"logging.googleapis.com/user/${var.name}/run_${name}\" AND resource.type=\"cloud_run_revision\""
                  aggregation = {
                    alignmentPeriod    = "3600s"
                    perSeriesAligner   = chart.aligner
                    crossSeriesReducer = "REDUCE_PERCENTILE_99"
                  }
                }
              }
            }]
          }
        }
      }]
    }
  })

  depends_on = [google_logging_metric.distributions]
}

# Google's own accounts in this project, which act for Secret Manager and Eventarc. Nobody can be given a
# role who does not exist yet: cloud.google.com/iam/docs/create-service-agents. Only the provider
# google-beta has a resource for them, and a role that this module gave, it would take from others when
# it is removed. So a script makes them, once for a project; nothing takes them away.
resource "terraform_data" "service_identities" {
  count = var.create_service_identities ? 1 : 0

  triggers_replace = [data.google_project.this.number, var.events_enabled]

  provisioner "local-exec" {
    interpreter = ["sh"]
    command     = "${path.module}/scripts/service-identities"

    environment = {
      PROJECT_ID     = var.project_id
      PROJECT_NUMBER = data.google_project.this.number
      EVENTS         = var.events_enabled
    }
  }

  depends_on = [google_project_service.this]
}

# A role takes effect after a minute or two. A build before that fails, and so does the first trigger of a
# project, which needs Eventarc's own account (google#25294): the provider tries neither again.
resource "time_sleep" "roles" {
  create_duration = "120s"

  triggers = {
    agents  = join(",", terraform_data.service_identities[*].id)
    builder = join(",", google_project_iam_member.builder[*].id)
  }
}

# Values that Google Cloud would have given, in the forms that the module puts together.

mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_resource "google_service_account" {
  defaults = {
    name   = "projects/my-project/serviceAccounts/made-up@my-project.iam.gserviceaccount.com"
    email  = "made-up@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:made-up@my-project.iam.gserviceaccount.com"
  }
}

mock_resource "google_cloudfunctions2_function" {
  defaults = {
    service_config = { uri = "https://made-up.a.run.app" }
  }
}

mock_resource "google_project_iam_custom_role" {
  defaults = { id = "projects/my-project/roles/made_up" }
}

mock_resource "google_pubsub_topic" {
  defaults = { id = "projects/my-project/topics/daena-kms-secrets" }
}

mock_resource "google_kms_crypto_key" {
  defaults = { id = "projects/my-project/locations/global/keyRings/daena-kms/cryptoKeys/secrets" }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = { name = "projects/my-project/notificationChannels/1" }
}

mock_resource "google_vpc_access_connector" {
  defaults = { id = "projects/my-project/locations/europe-west1/connectors/made-up" }
}

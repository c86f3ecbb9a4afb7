# What the auditor must make of a plan: `terraform show -json` of its plan is
# plan.json beside it.

provider "aws" {
  region                      = var.region
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
}

variable "region" {
  default = "eu-west-1"
}

variable "levels" {
  default = ["INFO"]
}

resource "aws_api_gateway_rest_api" "pets" {
  name = "pets"
}

resource "aws_api_gateway_rest_api" "inner" {
  name = "inner"
  endpoint_configuration {
    types = ["PRIVATE"]
  }
}

resource "aws_api_gateway_deployment" "pets" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
}

resource "aws_api_gateway_client_certificate" "pets" {}

resource "aws_wafv2_web_acl" "pets" {
  name  = "pets"
  scope = "REGIONAL"
  default_action {
    allow {}
  }
  visibility_config {
    cloudwatch_metrics_enabled = false
    metric_name                = "pets"
    sampled_requests_enabled   = false
  }
}

# All is as it should be.
resource "aws_api_gateway_stage" "good" {
  rest_api_id           = aws_api_gateway_rest_api.pets.id
  deployment_id         = aws_api_gateway_deployment.pets.id
  stage_name            = "good"
  client_certificate_id = aws_api_gateway_client_certificate.pets.id
  xray_tracing_enabled  = true
  cache_cluster_enabled = true
  cache_cluster_size    = "0.5"
}

resource "aws_api_gateway_method_settings" "good" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.good.stage_name
  method_path = "*/*"
  settings {
    logging_level        = "INFO"
    caching_enabled      = true
    cache_data_encrypted = true
  }
}

# Left out, so taken from */*.
resource "aws_api_gateway_method_settings" "inherits" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  stage_name  = aws_api_gateway_stage.good.stage_name
  method_path = "pets/{id}/GET"
  settings {
    metrics_enabled = true
  }
}

resource "aws_wafv2_web_acl_association" "good" {
  resource_arn = aws_api_gateway_stage.good.arn
  web_acl_arn  = aws_wafv2_web_acl.pets.arn
}

# Nothing is.
resource "aws_api_gateway_stage" "bare" {
  rest_api_id   = aws_api_gateway_rest_api.inner.id
  deployment_id = aws_api_gateway_deployment.pets.id
  stage_name    = "good"
}

# A dynamic block, which the configuration in a plan leaves out.
resource "aws_api_gateway_stage" "dynamic" {
  rest_api_id           = aws_api_gateway_rest_api.pets.id
  deployment_id         = aws_api_gateway_deployment.pets.id
  stage_name            = "dynamic"
  cache_cluster_enabled = true
}

resource "aws_api_gateway_method_settings" "dynamic" {
  rest_api_id = aws_api_gateway_rest_api.pets.id
  stage_name  = "dynamic"
  method_path = "*/*"
  dynamic "settings" {
    for_each = var.levels
    content {
      logging_level = settings.value
    }
  }
}

module "http" {
  source   = "./http"
  for_each = { one = "HTTP", two = "WEBSOCKET" }
  kind     = each.value
}

resource "aws_api_gateway_domain_name" "pets" {
  domain_name              = "pets.example.com"
  regional_certificate_arn = aws_acm_certificate.pets.arn
  security_policy          = "TLS_1_2"
  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_base_path_mapping" "pets" {
  api_id      = aws_api_gateway_rest_api.pets.id
  domain_name = aws_api_gateway_domain_name.pets.domain_name
  stage_name  = aws_api_gateway_stage.good.stage_name
}

resource "aws_api_gateway_domain_name" "shared" {
  domain_name     = "shared.example.com"
  certificate_arn = aws_acm_certificate.pets.arn
}

resource "aws_apigatewayv2_api_mapping" "shared" {
  api_id      = module.http["one"].api
  domain_name = aws_api_gateway_domain_name.shared.domain_name
  stage       = "x"
}

resource "aws_opensearch_domain" "bare" {
  domain_name = "bare"
}

resource "aws_opensearch_domain" "good" {
  domain_name = "good"
  domain_endpoint_options {
    enforce_https       = true
    tls_security_policy = "Policy-Min-TLS-1-2-PFS-2023-10"
  }
  node_to_node_encryption {
    enabled = true
  }
}

resource "aws_opensearch_domain" "default" {
  domain_name = "default"
  domain_endpoint_options {
    enforce_https = true
  }
}

resource "aws_acm_certificate" "pets" {
  domain_name       = "pets.example.com"
  validation_method = "DNS"
}

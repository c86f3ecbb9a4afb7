# What a person would write for a small REST API with a custom domain name, so
# that the provider's every read, comparison and patch of it is tried.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" { type = string }
variable "domain" { type = string }
variable "backend" { type = string }
variable "load_balancer" { type = string } # ARN
variable "certificates" { type = string } # folder of cert.pem, key.pem, chain.pem

# changed turns every setting that can be changed in place to its second value.
variable "changed" {
  type    = bool
  default = false
}

provider "aws" {
  region                      = "us-east-1"
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_credentials_validation = false
  max_retries                 = 1

  endpoints {
    apigateway   = var.endpoint
    apigatewayv2 = var.endpoint
    acm          = var.endpoint
    sts          = var.endpoint
  }

  default_tags {
    tags = { origin = "terraform" }
  }
}

resource "aws_acm_certificate" "domain" {
  certificate_body  = file("${var.certificates}/cert.pem")
  private_key       = file("${var.certificates}/key.pem")
  certificate_chain = file("${var.certificates}/chain.pem")
  tags              = { use = var.changed ? "api and more" : "api" }
}

resource "aws_api_gateway_account" "this" {
  cloudwatch_role_arn = "arn:aws:iam::000000000000:role/logs"
  reset_on_delete     = true # deprecated, and what newer providers always do
}

resource "aws_api_gateway_rest_api" "this" {
  name                         = "pets"
  description                  = var.changed ? "Pets, again" : "Pets"
  api_key_source               = var.changed ? "AUTHORIZER" : "HEADER"
  binary_media_types           = var.changed ? ["image/png", "application/vnd.pets+zip"] : ["image/jpeg", "image/png"]
  minimum_compression_size     = var.changed ? 0 : 1024
  disable_execute_api_endpoint = false
  tags                         = var.changed ? { team = "größe", "a:b/c" = "" } : { team = "pets" }

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

# Left to its defaults.
resource "aws_api_gateway_rest_api" "edge" {
  name = "defaults"
}

resource "aws_api_gateway_rest_api" "private" {
  name = "inside"

  endpoint_configuration {
    types            = ["PRIVATE"]
    vpc_endpoint_ids = var.changed ? ["vpce-0a1b2c3d", "vpce-0a1b2c3e"] : ["vpce-0a1b2c3d", "vpce-0a1b2c3f"]
  }
}

data "aws_iam_policy_document" "private" {
  statement {
    actions   = ["execute-api:Invoke"]
    resources = ["${aws_api_gateway_rest_api.private.execution_arn}/*"]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceVpce"
      values   = var.changed ? ["vpce-0a1b2c3d", "vpce-0a1b2c3e"] : ["vpce-0a1b2c3d"]
    }
  }
}

resource "aws_api_gateway_rest_api_policy" "private" {
  rest_api_id = aws_api_gateway_rest_api.private.id
  policy      = data.aws_iam_policy_document.private.json
}

resource "aws_api_gateway_resource" "pets" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = var.changed ? "animals" : "pets"
}

resource "aws_api_gateway_resource" "pet" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.pets.id
  path_part   = "{id}"
}

# GET /pets: a mock.
resource "aws_api_gateway_method" "list" {
  rest_api_id      = aws_api_gateway_rest_api.this.id
  resource_id      = aws_api_gateway_resource.pets.id
  http_method      = "GET"
  authorization    = "NONE"
  operation_name   = var.changed ? "ListAnimals" : "ListPets"
  api_key_required = false

  request_parameters = var.changed ? {
    "method.request.querystring.page"  = true
    "method.request.header.X-Trace-To" = false
    } : {
    "method.request.querystring.page" = false
  }
}

resource "aws_api_gateway_method_response" "list" {
  rest_api_id     = aws_api_gateway_rest_api.this.id
  resource_id     = aws_api_gateway_resource.pets.id
  http_method     = aws_api_gateway_method.list.http_method
  status_code     = "200"
  response_models = { "application/json" = var.changed ? "Error" : "Empty" }
  response_parameters = {
    "method.response.header.X-Count"       = var.changed
    "method.response.header.Cache-Control" = true
  }
}

resource "aws_api_gateway_integration" "list" {
  rest_api_id          = aws_api_gateway_rest_api.this.id
  resource_id          = aws_api_gateway_resource.pets.id
  http_method          = aws_api_gateway_method.list.http_method
  type                 = "MOCK"
  passthrough_behavior = "NEVER"
  request_templates    = { "application/json" = "{\"statusCode\": 200}" }
}

resource "aws_api_gateway_integration_response" "list" {
  rest_api_id       = aws_api_gateway_rest_api.this.id
  resource_id       = aws_api_gateway_resource.pets.id
  http_method       = aws_api_gateway_method.list.http_method
  status_code       = aws_api_gateway_method_response.list.status_code
  selection_pattern = var.changed ? "2\\d{2}" : ""

  response_templates = { "application/json" = var.changed ? "[\"cat\"]" : "[]" }
  response_parameters = {
    "method.response.header.X-Count"       = "'0'"
    "method.response.header.Cache-Control" = var.changed ? "'no-store'" : "'no-cache'"
  }

  depends_on = [aws_api_gateway_integration.list]
}

# ANY /pets/{id}: a backend.
resource "aws_api_gateway_method" "pet" {
  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = aws_api_gateway_resource.pet.id
  http_method   = "ANY"
  authorization = "NONE"

  request_parameters = { "method.request.path.id" = true }
}

resource "aws_api_gateway_integration" "pet" {
  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = aws_api_gateway_resource.pet.id
  http_method             = aws_api_gateway_method.pet.http_method
  type                    = "HTTP_PROXY"
  integration_http_method = "ANY"
  uri                     = "${var.backend}/{id}"
  timeout_milliseconds    = var.changed ? 5000 : 29000
  connection_type         = "INTERNET"
  cache_key_parameters    = var.changed ? ["method.request.path.id"] : []

  request_parameters = merge(
    { "integration.request.path.id" = "method.request.path.id" },
    var.changed ? { "integration.request.header.X-Stage" = "'second'" } : {},
  )

  tls_config {
    insecure_skip_verification = true
  }
}

# GET /linked: a backend behind a VPC link.
resource "aws_api_gateway_vpc_link" "this" {
  name        = var.changed ? "inside again" : "inside"
  description = var.changed ? "second" : "first"
  target_arns = [var.load_balancer]
  tags        = { use = var.changed ? "pets and more" : "pets" }
}

resource "aws_apigatewayv2_vpc_link" "this" {
  name               = var.changed ? "inside again" : "inside"
  subnet_ids         = ["subnet-0a1b2c3d", "subnet-0a1b2c3e"]
  security_group_ids = ["sg-0a1b2c3d"]
  tags               = { use = var.changed ? "pets and more" : "pets" }
}

resource "aws_api_gateway_resource" "linked" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "linked"
}

resource "aws_api_gateway_method" "linked" {
  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = aws_api_gateway_resource.linked.id
  http_method   = "GET"
  authorization = "NONE"
}

resource "aws_api_gateway_integration" "linked" {
  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = aws_api_gateway_resource.linked.id
  http_method             = aws_api_gateway_method.linked.http_method
  type                    = "HTTP_PROXY"
  integration_http_method = "GET"
  uri                     = "http://inside.example/linked"
  connection_type         = "VPC_LINK"
  connection_id           = aws_api_gateway_vpc_link.this.id
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  description = var.changed ? "second" : "first"
  triggers    = { changed = var.changed }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_api_gateway_integration_response.list, aws_api_gateway_integration.pet, aws_api_gateway_integration.linked]
}

resource "aws_api_gateway_client_certificate" "first" {
  description = var.changed ? "shown to pets until today" : "shown to pets"
  tags        = { use = var.changed ? "past" : "pets" }
}

resource "aws_api_gateway_client_certificate" "second" {
  count = var.changed ? 1 : 0
}

resource "aws_api_gateway_stage" "prod" {
  rest_api_id           = aws_api_gateway_rest_api.this.id
  deployment_id         = aws_api_gateway_deployment.this.id
  stage_name            = "prod"
  description           = var.changed ? "in production" : "almost in production"
  xray_tracing_enabled  = var.changed
  documentation_version = null
  client_certificate_id = var.changed ? aws_api_gateway_client_certificate.second[0].id : aws_api_gateway_client_certificate.first.id
  variables             = var.changed ? { color = "green", size = "l" } : { color = "blue", shape = "round" }
  tags                  = { stage = var.changed ? "prod 2" : "prod" }

  access_log_settings {
    destination_arn = "arn:aws:logs:us-east-1:000000000000:log-group:pets"
    format          = var.changed ? "$context.requestId $context.tlsVersion $context.cipherSuite" : jsonencode({ id = "$context.requestId", tls = "$context.tlsVersion" })
  }
}

resource "aws_api_gateway_stage" "plain" {
  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = "plain"

  client_certificate_id = var.changed ? null : aws_api_gateway_client_certificate.first.id

  dynamic "canary_settings" {
    for_each = var.changed ? [1] : []
    content {
      deployment_id            = aws_api_gateway_deployment.this.id
      percent_traffic          = 10.5
      stage_variable_overrides = { color = "red" }
      use_stage_cache          = true
    }
  }
}

resource "aws_api_gateway_method_settings" "all" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled        = true
    logging_level          = var.changed ? "INFO" : "ERROR"
    data_trace_enabled     = var.changed
    throttling_burst_limit = 50
    throttling_rate_limit  = var.changed ? 0.5 : 100
  }
}

resource "aws_api_gateway_method_settings" "list" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  method_path = "pets/GET"

  settings {
    cache_data_encrypted                       = true
    cache_ttl_in_seconds                       = var.changed ? 0 : 60
    caching_enabled                            = false
    require_authorization_for_cache_control    = !var.changed
    unauthorized_cache_control_header_strategy = "FAIL_WITH_403"
  }

  depends_on = [aws_api_gateway_method_settings.all]
}

# An update of a domain name sleeps a fixed minute in the provider, so none of
# the three changes.
resource "aws_api_gateway_domain_name" "this" {
  domain_name              = var.domain
  regional_certificate_arn = aws_acm_certificate.domain.arn
  security_policy          = "TLS_1_2"
  tags                     = { kind = "regional" }

  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_domain_name" "edge" {
  domain_name     = "edge.${var.domain}"
  certificate_arn = aws_acm_certificate.domain.arn
}

resource "aws_api_gateway_domain_name" "private" {
  domain_name     = "inside.${var.domain}"
  certificate_arn = aws_acm_certificate.domain.arn
  policy          = data.aws_iam_policy_document.domain.json

  endpoint_configuration {
    types = ["PRIVATE"]
  }
}

data "aws_iam_policy_document" "domain" {
  statement {
    actions   = ["execute-api:Invoke"]
    resources = ["execute-api:/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

resource "aws_api_gateway_base_path_mapping" "private" {
  domain_name    = aws_api_gateway_domain_name.private.domain_name
  domain_name_id = aws_api_gateway_domain_name.private.domain_name_id
  api_id         = aws_api_gateway_rest_api.private.id
}

resource "aws_api_gateway_base_path_mapping" "root" {
  domain_name = aws_api_gateway_domain_name.this.domain_name
  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = var.changed ? aws_api_gateway_stage.plain.stage_name : aws_api_gateway_stage.prod.stage_name
}

resource "aws_api_gateway_base_path_mapping" "v1" {
  domain_name = aws_api_gateway_domain_name.this.domain_name
  api_id      = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.prod.stage_name
  base_path   = var.changed ? "v2" : "v1"
}

data "aws_api_gateway_rest_api" "this" {
  name       = aws_api_gateway_rest_api.this.name
  depends_on = [aws_api_gateway_domain_name.this]
}

data "aws_api_gateway_resource" "root" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  path        = "/"
}

output "api" { value = aws_api_gateway_rest_api.this.id }
output "read" { value = [data.aws_api_gateway_rest_api.this.id, data.aws_api_gateway_resource.root.id] }

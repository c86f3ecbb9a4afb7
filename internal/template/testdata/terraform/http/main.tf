variable "kind" {}

locals {
  api = aws_apigatewayv2_api.it.id
}

resource "aws_apigatewayv2_api" "it" {
  name                       = "it"
  protocol_type              = var.kind
  route_selection_expression = var.kind == "HTTP" ? null : "$request.body.action"
}

resource "aws_cloudwatch_log_group" "it" {
  name = "it"
}

resource "aws_apigatewayv2_stage" "it" {
  api_id = aws_apigatewayv2_api.it.id
  name   = "live"
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.it.arn
    format          = "$context.requestId"
  }
}

# What a local stands for is not in a plan.
resource "aws_apigatewayv2_stage" "by_local" {
  api_id = local.api
  name   = "test"
}

resource "aws_apigatewayv2_vpc_link" "it" {
  name               = "it"
  security_group_ids = []
  subnet_ids         = ["subnet-1"]
}

resource "aws_apigatewayv2_integration" "it" {
  count              = 2
  api_id             = aws_apigatewayv2_api.it.id
  integration_type   = "HTTP_PROXY"
  integration_method = "GET"
  integration_uri    = "arn:aws:elasticloadbalancing:eu-west-1:000000000000:listener/app/x/1/2"
  connection_type    = "VPC_LINK"
  connection_id      = aws_apigatewayv2_vpc_link.it.id
  dynamic "tls_config" {
    for_each = count.index == 0 ? [1] : []
    content {
      server_name_to_verify = "in.example.com"
    }
  }
}

resource "aws_apigatewayv2_route" "it" {
  for_each           = { "GET /pets" = "AWS_IAM", "$default" = "NONE" }
  api_id             = aws_apigatewayv2_api.it.id
  route_key          = each.key
  authorization_type = each.value
  target             = "integrations/${aws_apigatewayv2_integration.it[0].id}"
}

output "api" {
  value = aws_apigatewayv2_api.it.id
}

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  type = string
}

variable "policy" {
  type = string
}

variable "https" {
  type = bool
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = false
  endpoints {
    es         = var.endpoint
    opensearch = var.endpoint
    sts        = var.endpoint
  }
}

resource "aws_opensearch_domain" "logs" {
  domain_name    = "logs-prod"
  engine_version = "OpenSearch_2.19"

  cluster_config {
    instance_type = "r5.large.search"
  }
  ebs_options {
    ebs_enabled = true
    volume_size = 10
  }
  node_to_node_encryption {
    enabled = true
  }
  domain_endpoint_options {
    enforce_https       = var.https
    tls_security_policy = var.policy
  }
  tags = {
    team = "search"
  }
}

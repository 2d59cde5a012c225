#!/bin/sh
# Sets up Vault or OpenBao for the hub of one mesh. To be run by somebody who may, with the address and a token in the
# environment (BAO_ADDR and BAO_TOKEN, or VAULT_ADDR and VAULT_TOKEN with BAO=vault). Running it again changes nothing
# that is in use.
#
#     setup.sh MESH approle
#     setup.sh MESH kubernetes SERVICE_ACCOUNT NAMESPACE
set -eu
bao=${BAO:-bao}
mesh=$1
method=$2

engine() { # PATH TYPE OPTION...
  path=$1 && type=$2 && shift 2
  "$bao" read "sys/mounts/$path/tune" >/dev/null 2>&1 || "$bao" secrets enable -path="$path" "$@" "$type"
}

engine secret kv -version=2
engine transit transit
engine pki pki -max-lease-ttl=175200h

# The root authority: made here, signs here, cannot be had.
"$bao" write -f transit/keys/spanwire-root type=ed25519 exportable=false allow_plaintext_backup=false

# The CA of all TLS certificates of the mesh, with a key that stays here.
"$bao" read pki/issuer/default >/dev/null 2>&1 ||
  "$bao" write pki/root/generate/internal common_name="Spanwire $mesh" key_type=ec key_bits=256 ttl=175200h

# What is in a certificate comes from the hub, never from the request, which only proves that the key is somebody's.
common="use_csr_common_name=false use_csr_sans=false key_usage=DigitalSignature not_before_duration=5m"
"$bao" write pki/roles/spanwire-gateway $common cn_validations=disabled key_type=ed25519 client_flag=true server_flag=false \
  allowed_uri_sans="spiffe://$mesh/cluster/*" allow_ip_sans=false ttl=24h max_ttl=24h
"$bao" write pki/roles/spanwire-operator $common cn_validations=disabled key_type=ec key_bits=256 client_flag=true \
  server_flag=false allowed_uri_sans="spiffe://$mesh/operator/*" allow_ip_sans=false ttl=8760h max_ttl=8760h
"$bao" write pki/roles/spanwire-server $common cn_validations=disabled key_type=ec key_bits=256 client_flag=false \
  server_flag=true allow_any_name=true enforce_hostnames=false allow_ip_sans=true ttl=2160h max_ttl=2160h

"$bao" policy write spanwire-hub "$(dirname "$0")/policy.hcl"

"$bao" read "sys/auth/$method/tune" >/dev/null 2>&1 || "$bao" auth enable "$method"
case $method in
  approle)
    "$bao" write auth/approle/role/spanwire-hub token_policies=spanwire-hub token_ttl=20m token_max_ttl=24h
    ;;
  kubernetes)
    "$bao" write auth/kubernetes/role/spanwire-hub token_policies=spanwire-hub token_ttl=20m token_max_ttl=24h \
      bound_service_account_names="$3" bound_service_account_namespaces="$4" audience=vault
    ;;
esac

# What the hub of a mesh may do: keep its secrets, have the root authority sign, have certificates issued. It can neither
# read, export nor change a key, and it cannot make roles.
path "secret/data/spanwire/*" {
  capabilities = ["create", "read", "update"]
}
path "transit/keys/spanwire-root" {
  capabilities = ["read"]
}
path "transit/sign/spanwire-root" {
  capabilities = ["update"]
}
path "pki/issuer/default" {
  capabilities = ["read"]
}
path "pki/issuer/+/sign/spanwire-gateway" {
  capabilities = ["create", "update"]
}
path "pki/issuer/+/sign/spanwire-server" {
  capabilities = ["create", "update"]
}
path "pki/issuer/+/sign/spanwire-operator" {
  capabilities = ["create", "update"]
}

// Package check looks for faults in the manifests for Kubernetes, offline, by
// Kubernetes' own types and rules. It is a module of its own, so that plugins do
// not require them.
package check

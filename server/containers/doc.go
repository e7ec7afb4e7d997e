// Package containers has a recipe for container images and manifests for
// Kubernetes: Kong, and a plugin server beside it. Its tests follow the recipe's
// steps; package check, a module of its own, checks the manifests, and the test
// of the sidecar in luabridge/e2e starts a plugin server as they say.
package containers

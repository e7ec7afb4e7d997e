module example.com/plugins

go 1.26.0

require (
	github.com/Kong/go-pdk v0.11.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/ugorji/go/codec v1.2.12 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	google.golang.org/protobuf v1.33.0 // indirect
)

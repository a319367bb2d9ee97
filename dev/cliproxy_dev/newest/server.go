// The server for custom resources as its library has it, and with the schemas of custom resources published:
// the library's own program leaves out what `kubectl explain` reads, since within kube-apiserver another part
// of it provides the base.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	generated "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
)

func main() {
	wanted := options.NewCustomResourceDefinitionsServerOptions(os.Stdout, os.Stderr)
	command := &cobra.Command{
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return wanted.ServerRunOptions.ComponentGlobalsRegistry.Set()
		},
		RunE: func(command *cobra.Command, _ []string) error { return run(command, wanted) },
	}
	command.SetContext(genericapiserver.SetupSignalContext())
	wanted.AddFlags(command.Flags())
	os.Exit(cli.Run(command))
}

func run(command *cobra.Command, wanted *options.CustomResourceDefinitionsServerOptions) error {
	if err := wanted.Complete(); err != nil {
		return err
	}
	if err := wanted.Validate(); err != nil {
		return err
	}
	config, err := wanted.Config()
	if err != nil {
		return err
	}
	config.GenericConfig.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(
		generated.GetOpenAPIDefinitions, openapi.NewDefinitionNamer(apiserver.Scheme))
	server, err := config.Complete().New(genericapiserver.NewEmptyDelegate())
	if err != nil {
		return err
	}
	return server.GenericAPIServer.PrepareRun().RunWithContext(command.Context())
}

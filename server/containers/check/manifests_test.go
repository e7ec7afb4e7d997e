package check

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	security "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// objects decodes a file as an API server does that is asked for strict
// validation of fields: what it does not know, or has twice, is a fault.
func objects(text []byte) (all []runtime.Object, err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	for _, part := range bytes.Split(text, []byte("\n---\n")) {
		object, _, err := strict.Decode(part, nil, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, object)
	}
	return all, nil
}

// pods gives the pods that objects make, by kind and name, and a fault where
// one's selector does not find its own.
func pods(all []runtime.Object) (map[string]corev1.PodTemplateSpec, error) {
	found := map[string]corev1.PodTemplateSpec{}
	var selector *metav1.LabelSelector
	for _, object := range all {
		var pod corev1.PodTemplateSpec
		name := ""
		switch o := object.(type) {
		case *appsv1.Deployment:
			name, pod, selector = "Deployment "+o.Name, o.Spec.Template, o.Spec.Selector
		case *appsv1.DaemonSet:
			name, pod, selector = "DaemonSet "+o.Name, o.Spec.Template, o.Spec.Selector
		default:
			continue
		}
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			return nil, err
		}
		if s.Empty() || !s.Matches(labels.Set(pod.Labels)) {
			return nil, fmt.Errorf("%s does not select its own pods", name)
		}
		found[name] = pod
	}
	return found, nil
}

// check gives the faults of a file.
func check(text []byte) (faults []string) {
	all, err := objects(text)
	if err != nil {
		return []string{err.Error()}
	}
	templates, err := pods(all)
	if err != nil {
		return []string{err.Error()}
	}
	for _, object := range all {
		if s, ok := object.(*corev1.Service); ok {
			faults = append(faults, service(s, templates)...)
		}
	}
	standard, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []string{err.Error()}
	}
	level := security.LevelVersion{Level: security.LevelRestricted, Version: security.LatestVersion()}
	for name, pod := range templates {
		results := standard.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)
		if r := policy.AggregateCheckResults(results); !r.Allowed {
			faults = append(faults, name+": the standard for restricted pods: "+r.ForbiddenDetail())
		}
		for _, fault := range containers(pod.Spec) {
			faults = append(faults, name+": "+fault)
		}
	}
	return faults
}

// service looks whether a service finds pods, and the ports that it names there.
func service(s *corev1.Service, templates map[string]corev1.PodTemplateSpec) (faults []string) {
	for _, port := range s.Spec.Ports {
		has := func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port.TargetPort.String() })
		}
		found := false
		for _, pod := range templates {
			found = found || labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)) && slices.ContainsFunc(pod.Spec.Containers, has)
		}
		if !found {
			faults = append(faults, fmt.Sprintf("service %s: no pod with the port %s", s.Name, port.TargetPort.String()))
		}
	}
	return faults
}

// containers looks at what the standard leaves open.
func containers(pod corev1.PodSpec) (faults []string) {
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		fault := func(format string, args ...any) {
			faults = append(faults, c.Name+": "+fmt.Sprintf(format, args...))
		}
		for _, m := range c.VolumeMounts {
			if !slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
				fault("no volume %s", m.Name)
			}
		}
		if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			fault("it may write into its image")
		}
		if c.Resources.Requests.Cpu().IsZero() || c.Resources.Limits.Memory().IsZero() {
			fault("no request for processor time, or no limit of memory")
		}
		if c.LivenessProbe == nil && c.ReadinessProbe == nil {
			fault("no probe")
		}
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if p == nil || p.HTTPGet == nil {
				continue
			}
			if !slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return port.Name == p.HTTPGet.Port.String() }) {
				fault("a probe asks at a port %s, which it has not", p.HTTPGet.Port.String())
			}
		}
	}
	return faults
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("../" + name)
	require.NoError(t, err)
	return text
}

func TestManifests(t *testing.T) {
	for _, name := range []string{"kong.yaml", "hybrid.yaml"} {
		require.Empty(t, check(read(t, name)), name)
	}
}

// Each fault is found: the text that makes it, and what is said of it.
func TestFaultsAreFound(t *testing.T) {
	text := string(read(t, "kong.yaml"))
	for _, tc := range []struct{ from, to, found string }{
		{"fsGroup: 65532", "fsgroup: 65532", `unknown field "spec.template.spec.securityContext.fsgroup"`},
		{"mountPath: /tmp", "mount: /tmp", `unknown field`},
		{"replicas: 2", "replicas: two", "cannot unmarshal string"},
		{"replicas: 2", "replicas: 2\n  replicas: 3", "already set"},
		{"kind: Deployment", "kind: Deploy", "no kind"},
		{"memory: 256Mi", "memory: 256Megs", "quantities"},
		{"labels: {app: kong}", "labels: {app: king}", "does not select"},
		{"runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{`drop: ["ALL"]`, `drop: ["KILL"]`, "capabilities"},
		{"allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "write into its image"},
		{"limits: {memory: 256Mi}", "limits: {}", "no limit of memory"},
		{"name: tmp, mountPath", "name: temp, mountPath", "no volume temp"},
		{"name: status, containerPort", "name: state, containerPort", "port status"},
		{"targetPort: proxy", "targetPort: http", "no pod with the port http"},
		{"emptyDir: {sizeLimit: 1Mi}", "hostPath: {path: /run/kongring}", "hostPath"},
	} {
		require.Contains(t, text, tc.from)
		faults := check([]byte(strings.Replace(text, tc.from, tc.to, 1)))
		require.Contains(t, strings.Join(faults, "\n"), tc.found, tc.to)
	}
}

// The plugin server is the same sidecar in both files, and shares the folder of
// its socket with Kong, and nothing else.
func TestSidecar(t *testing.T) {
	var sidecars []corev1.Container
	for file, name := range map[string]string{"kong.yaml": "Deployment kong", "hybrid.yaml": "DaemonSet kong-data"} {
		all, err := objects(read(t, file))
		require.NoError(t, err)
		templates, err := pods(all)
		require.NoError(t, err)
		pod := templates[name].Spec
		require.Len(t, pod.InitContainers, 1)
		require.Len(t, pod.Containers, 1)
		sidecar, kong := pod.InitContainers[0], pod.Containers[0]
		require.Equal(t, corev1.ContainerRestartPolicyAlways, *sidecar.RestartPolicy)
		require.NotNil(t, sidecar.StartupProbe, "Kong would start before it answers")
		require.Equal(t, []corev1.VolumeMount{{Name: "kongring", MountPath: "/run/kongring"}}, sidecar.VolumeMounts)
		require.Contains(t, kong.VolumeMounts, corev1.VolumeMount{Name: "kongring", MountPath: "/run/kongring", ReadOnly: true})
		require.Nil(t, pod.ShareProcessNamespace)
		require.False(t, pod.HostPID || pod.HostIPC || pod.HostNetwork)

		// Two users; the server's owns the folder's group, and lets Kong's in.
		require.Equal(t, *pod.SecurityContext.FSGroup, *sidecar.SecurityContext.RunAsGroup)
		require.NotEqual(t, *kong.SecurityContext.RunAsUser, *sidecar.SecurityContext.RunAsUser)
		i := slices.Index(sidecar.Args, "-allow-uid")
		require.Equal(t, fmt.Sprint(*kong.SecurityContext.RunAsUser), sidecar.Args[i+1])
		sidecars = append(sidecars, sidecar)
	}
	require.Equal(t, sidecars[0], sidecars[1])
}

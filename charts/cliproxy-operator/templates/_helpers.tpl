{{- define "cliproxy.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- /* 48 characters, so that "-gateway" and the like still fit into a Service's name. */ -}}
{{- define "cliproxy.fullname" -}}
{{- $name := include "cliproxy.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- /* Labels that pods are selected by; called with (list . "component"). */ -}}
{{- define "cliproxy.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "cliproxy.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "cliproxy.labels" -}}
{{- $root := index . 0 -}}
{{ include "cliproxy.selector" . }}
app.kubernetes.io/part-of: cliproxy
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "cliproxy.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "cliproxy.fullname" .) }}
{{- end -}}

{{- /* Called with (list . .Values.image). */ -}}
{{- define "cliproxy.image" -}}
{{- $root := index . 0 }}{{- $image := index . 1 -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}
{{- else }}{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- /* A limit of "none" is left out. */ -}}
{{- define "cliproxy.resources" -}}
requests: {{- toYaml .requests | nindent 2 }}
{{- $limits := dict }}
{{- range $name, $value := .limits }}{{- if ne ($value | toString) "none" }}{{- $_ := set $limits $name $value }}{{- end }}{{- end }}
{{- with $limits }}
limits: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What the "restricted" pod security standard asks for. */ -}}
{{- define "cliproxy.podSecurity" -}}
runAsNonRoot: true
{{- if ne (.Values.sidecar.runAsUser | toString) "cluster" }}
runAsUser: {{ .Values.sidecar.runAsUser | int64 }}
runAsGroup: {{ .Values.sidecar.runAsUser | int64 }}
fsGroup: {{ .Values.sidecar.runAsUser | int64 }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "cliproxy.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* Where pods go; called with (list . values "component"). */ -}}
{{- define "cliproxy.placement" -}}
{{- $root := index . 0 }}{{- $values := index . 1 }}{{- $component := index . 2 }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  {{- if $values.affinity }}
  {{- toYaml $values.affinity | nindent 2 }}
  {{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels: {{- include "cliproxy.selector" (list $root $component) | nindent 14 }}
  {{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ toYaml . | nindent 4 | trim }}
    {{- if not .labelSelector }}
    labelSelector:
      matchLabels: {{- include "cliproxy.selector" (list $root $component) | nindent 8 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* "true" when the server is at least this version; called with (list . "1.21"). `helm template` needs --kube-version. */ -}}
{{- define "cliproxy.since" -}}
{{- if semverCompare (printf ">=%s-0" (index . 1)) (index . 0).Capabilities.KubeVersion.Version }}true{{- end -}}
{{- end -}}

{{- /* Namespaces that backups are made of, as arguments of the command. */ -}}
{{- define "cliproxy.backupNamespaces" -}}
{{- .Values.backup.namespaces | default .Values.watchNamespaces | toJson -}}
{{- end -}}

{{- /* A duration such as 1m30s as milliseconds. */ -}}
{{- define "cliproxy.milliseconds" -}}
{{- $total := 0 }}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d)" . -1 }}
{{- $total = add $total (mul (regexFind "[0-9]+" . | int) (get $units (regexFind "[a-z]+" .))) }}
{{- end }}
{{- $total -}}
{{- end -}}

{{- /* What a schema cannot say: durations that go together. The operator would refuse to start. */ -}}
{{- define "cliproxy.checkDurations" -}}
{{- $lease := include "cliproxy.milliseconds" .Values.leaderElection.leaseDuration | int }}
{{- $renew := include "cliproxy.milliseconds" .Values.leaderElection.renewDeadline | int }}
{{- $retry := include "cliproxy.milliseconds" .Values.leaderElection.retryPeriod | int }}
{{- if lt $retry 1 }}{{ fail "leaderElection.retryPeriod: must be above 0" }}{{ end }}
{{- if ge $retry $renew }}{{ fail "leaderElection.retryPeriod: must be less than leaderElection.renewDeadline" }}{{ end }}
{{- if ge $renew $lease }}{{ fail "leaderElection.renewDeadline: must be less than leaderElection.leaseDuration" }}{{ end }}
{{- $leaf := include "cliproxy.milliseconds" .Values.controlChannel.certificateLifetime | int }}
{{- if lt $leaf 1 }}{{ fail "controlChannel.certificateLifetime: must be above 0" }}{{ end }}
{{- if lt (include "cliproxy.milliseconds" .Values.controlChannel.caLifetime | int) (mul 4 $leaf | int) }}
{{- fail "controlChannel.caLifetime: must be at least four times controlChannel.certificateLifetime" }}
{{- end }}
{{- end -}}

{{- /* A duration such as 1m30s as whole seconds, rounded down; Kubernetes counts grace periods so. */ -}}
{{- define "cliproxy.seconds" -}}
{{- $total := 0 }}
{{- $units := dict "s" 1 "m" 60 "h" 3600 "d" 86400 "ms" 0 }}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d)" . -1 }}
{{- $total = add $total (mul (regexFind "[0-9]+" . | int) (get $units (regexFind "[a-z]+" .))) }}
{{- end }}
{{- $total -}}
{{- end -}}

{{- /* The container that backs one namespace up, all of them for ""; called with (list . namespace). */ -}}
{{- define "cliproxy.backupContainer" -}}
{{- $root := index . 0 }}{{- $namespace := index . 1 }}{{- $backup := $root.Values.backup -}}
- name: {{ ternary (printf "backup-%s" $namespace) "backup" (ne $namespace "") | trunc 63 | trimSuffix "-" }}
  image: {{ include "cliproxy.image" (list $root $root.Values.image) | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [/app/bin/cliproxy, backup, create]
  args:
    {{- if $namespace }}
    - --namespace={{ $namespace }}
    {{- else }}
    - --all-namespaces
    {{- end }}
    - --output=/backup
    - --keep={{ $backup.keep }}
    - --allow-empty
    {{- if $backup.secrets }}
    - --include-secrets
    {{- end }}
    {{- if $backup.encryptionSecret }}
    - --key-file=/etc/cliproxy/backup/key
    {{- end }}
  env:
    - {name: HOME, value: /tmp}
  volumeMounts:
    - {name: backup, mountPath: /backup}
    {{- if $backup.encryptionSecret }}
    - {name: key, mountPath: /etc/cliproxy/backup, readOnly: true}
    {{- end }}
  resources: {{- include "cliproxy.resources" $backup.resources | nindent 4 }}
  securityContext: {{- include "cliproxy.containerSecurity" $root | nindent 4 }}
{{- end -}}

{{/*
The one pod template. Takes `root`, `component`, `pool`, `values` of the component, and what only that component has:
`env`, `container` (command, args, ports, probes, lifecycle) as YAML text, `gracePeriod`, `restartPolicy`,
`serviceAccountName`, `port` where metrics are served, `awaitsSchema` where nothing runs without tables.
*/}}
{{- define "litestar-queues.pod" -}}
{{- $root := .root -}}
{{- $global := .root.Values -}}
{{- $own := .values -}}
metadata:
  labels:
    {{- include "litestar-queues.selectorLabels" . | nindent 4 }}
    {{- with merge (deepCopy $own.podLabels) $global.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "litestar-queues.podAnnotations" . | fromYaml }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ .serviceAccountName | default (include "litestar-queues.serviceAccountName" $root) }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .restartPolicy }}
  restartPolicy: {{ . }}
  {{- end }}
  {{- with .gracePeriod }}
  terminationGracePeriodSeconds: {{ . | int }}
  {{- end }}
  {{- with concat $global.imagePullSecrets $global.global.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext: {{- include "litestar-queues.over" (list $own.podSecurityContext $global.podSecurityContext) | nindent 4 }}
  {{- with $own.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $own.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $selector := dict "matchLabels" (include "litestar-queues.selectorLabels" . | fromYaml) }}
    {{- range $own.topologySpreadConstraints }}
    - {{- merge (deepCopy .) (dict "labelSelector" $selector) | toYaml | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with $own.extraPodSpec }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- /* a plain Job runs beside the pods that need what it makes */}}
  {{- $awaits := and .awaitsSchema (eq $global.migrations.mode "job") }}
  {{- if or $awaits $own.initContainers }}
  initContainers:
    {{- if $awaits }}
    - name: await-schema
      {{- include "litestar-queues.awaitSchema" $root | nindent 6 }}
      {{- include "litestar-queues.containerOfApp" . | nindent 6 }}
    {{- end }}
    {{- with $own.initContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      {{- .container | nindent 6 }}
      {{- include "litestar-queues.containerOfApp" . | nindent 6 }}
    {{- with $own.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {{- toYaml $own.tmp | nindent 8 }}
    {{- with concat $global.extraVolumes $own.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What every container that runs the app has in common. */}}
{{- define "litestar-queues.containerOfApp" -}}
{{- $global := .root.Values -}}
{{- $own := .values -}}
image: {{ include "litestar-queues.image" . }}
imagePullPolicy: {{ $own.image.pullPolicy | default $global.image.pullPolicy }}
env:
  {{- $given := printf "%s\n%s" (include "litestar-queues.env" .) (.env | default "") | fromYamlArray }}
  {{- include "litestar-queues.lastOfEach" (concat $given $global.extraEnv $own.extraEnv) | nindent 2 }}
{{- with concat $global.extraEnvFrom $own.extraEnvFrom }}
envFrom: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $own.resources }}
resources: {{- toYaml . | nindent 2 }}
{{- end }}
# why a container ended is in its last lines
terminationMessagePolicy: FallbackToLogsOnError
securityContext: {{- include "litestar-queues.over" (list $own.securityContext $global.securityContext) | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  {{- with concat $global.extraVolumeMounts $own.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* What a component says goes over what the chart says. */}}
{{- define "litestar-queues.podAnnotations" -}}
{{- $scraped := dict -}}
{{- if and .port .root.Values.metrics.annotations -}}
{{- $port := .port | int | toString -}}
{{- $scraped = dict "prometheus.io/scrape" "true" "prometheus.io/path" "/metrics" "prometheus.io/port" $port -}}
{{- end -}}
{{- include "litestar-queues.over" (list .values.podAnnotations $scraped) -}}
{{- end -}}

{{/* A variable that is named twice has the value of the last: two of one name would be mixed up in upgrades. */}}
{{- define "litestar-queues.lastOfEach" -}}
{{- $kept := list -}}
{{- $names := list -}}
{{- range reverse . -}}
{{- if not (has .name $names) -}}
{{- $kept = prepend $kept . -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}
{{- toYaml $kept -}}
{{- end -}}

{{- define "litestar-queues.awaitSchema" -}}
command: [python, -c]
args:
  - |
    {{- .Files.Get "files/await_schema.py" | nindent 4 }}
{{- end -}}

{{/* An image of its own keeps nothing of the digest that belongs to the other. */}}
{{- define "litestar-queues.image" -}}
{{- $own := .values.image -}}
{{- $common := .root.Values.image -}}
{{- $digest := or $own.repository $own.tag | empty | ternary $common.digest "" -}}
{{- $repository := $own.repository | default $common.repository -}}
{{- with .root.Values.global.imageRegistry -}}{{- $repository = printf "%s/%s" . $repository -}}{{- end -}}
{{- $digest = $own.digest | default $digest -}}
{{- if $digest -}}
{{- printf "%s@%s" $repository $digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($own.tag | default $common.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What every process of the app is told. */}}
{{- define "litestar-queues.env" -}}
{{- $database := include "litestar-queues.database" . | fromYaml -}}
- name: LITESTAR_QUEUES_QUEUE_BACKEND
{{- if $database.url }}
  value: {{ $database.url | quote }}
{{- /* both drivers read these where the URL names no user */}}
- name: PGUSER
  {{- include "litestar-queues.ofSecret" (list $database.existingSecret $database.usernameKey) | nindent 2 }}
- name: PGPASSWORD
  {{- include "litestar-queues.ofSecret" (list $database.existingSecret $database.passwordKey) | nindent 2 }}
{{- else }}
  {{- include "litestar-queues.ofSecret" (list $database.existingSecret $database.key) | nindent 2 }}
{{- end }}
{{- with .root.Values.app }}
- name: LITESTAR_APP
  value: {{ . | quote }}
{{- end }}
{{- if ne .root.Values.migrations.mode "none" }}
- name: LITESTAR_QUEUES_MIGRATE_ON_START
  value: "false"
{{- end }}
{{- range $name, $value := .root.Values.settings }}
- name: LITESTAR_QUEUES_{{ upper $name }}
  value: {{ include "litestar-queues.settingValue" $value | quote }}
{{- end }}
{{- end -}}

{{- define "litestar-queues.ofSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ first . }}
    key: {{ last . }}
{{- end -}}

{{/* The database of a component: what it says of it, over what holds for all. */}}
{{- define "litestar-queues.database" -}}
{{- include "litestar-queues.over" (list .values.database .root.Values.database) -}}
{{- end -}}

{{- define "litestar-queues.settingValue" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

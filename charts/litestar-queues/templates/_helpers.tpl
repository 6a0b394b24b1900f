{{/* Names and labels. Whatever takes a component takes `root` and `component`, of a worker pool also `pool`. */}}

{{- define "litestar-queues.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "litestar-queues.fullname" -}}
{{- $name := include "litestar-queues.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "litestar-queues.componentName" -}}
{{- $name := printf "%s-%s" (include "litestar-queues.fullname" .root) .component -}}
{{- if .pool -}}{{- printf "%s-%s" $name .pool -}}{{- else -}}{{- $name -}}{{- end -}}
{{- end -}}

{{- define "litestar-queues.selectorLabels" -}}
app.kubernetes.io/name: {{ include "litestar-queues.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .pool }}
litestar-queues/pool: {{ . }}
{{- end }}
{{- end -}}

{{- define "litestar-queues.labels" -}}
{{ include "litestar-queues.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes also `name`, where it is not that of the component, and `annotations` and `labels` of this object alone. */}}
{{- define "litestar-queues.metadata" -}}
name: {{ .name | default (include "litestar-queues.componentName" .) }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "litestar-queues.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with include "litestar-queues.over" (list (.annotations | default dict) .root.Values.commonAnnotations) | fromYaml }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "litestar-queues.serviceAccountName" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "litestar-queues.fullname" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{/* The first map over the second. Sprig's merge would pass over 0 and false. */}}
{{- define "litestar-queues.over" -}}
{{- $merged := deepCopy (last .) -}}
{{- range $key, $value := first . -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end -}}

{{/* What a pool says of itself, over what stands under `worker`, two levels deep. */}}
{{- define "litestar-queues.pool" -}}
{{- $merged := omit .root.Values.worker "pools" | deepCopy -}}
{{- range $key, $value := .pool -}}
{{- if and (kindIs "map" $value) (kindIs "map" (get $merged $key)) -}}
{{- $value = include "litestar-queues.over" (list $value (get $merged $key)) | fromYaml -}}
{{- end -}}
{{- $_ := set $merged $key $value -}}
{{- end -}}
{{- toYaml $merged -}}
{{- end -}}

{{/* Seconds that a pool's pod needs at most between SIGTERM and its end. */}}
{{- define "litestar-queues.leastGracePeriod" -}}
{{- addf .drainTimeout .cancelTimeout 15 | ceil | int -}}
{{- end -}}

{{- define "litestar-queues.gracePeriod" -}}
{{- .terminationGracePeriodSeconds | default (include "litestar-queues.leastGracePeriod" .) | int -}}
{{- end -}}

{{/* Takes the values that have `podDisruptionBudget`, with `root`, `component` and `pool`. */}}
{{- define "litestar-queues.podDisruptionBudget" -}}
{{- $budget := .values.podDisruptionBudget -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "litestar-queues.metadata" . | nindent 2 }}
spec:
  {{- if kindIs "invalid" $budget.minAvailable }}
  maxUnavailable: {{ kindIs "invalid" $budget.maxUnavailable | ternary 1 $budget.maxUnavailable }}
  {{- else }}
  minAvailable: {{ $budget.minAvailable }}
  {{- end }}
  unhealthyPodEvictionPolicy: {{ $budget.unhealthyPodEvictionPolicy }}
  selector:
    matchLabels: {{- include "litestar-queues.selectorLabels" . | nindent 6 }}
{{- end -}}

{{/* Takes also the `kind` of what is scaled and the `behavior` where the values name none. */}}
{{- define "litestar-queues.autoscaler" -}}
{{- $scaling := .values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "litestar-queues.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ include "litestar-queues.componentName" . }}
  minReplicas: {{ $scaling.minReplicas | int }}
  maxReplicas: {{ $scaling.maxReplicas | int }}
  metrics:
    {{- with $scaling.targetCPUUtilizationPercentage }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ . | int }}
    {{- end }}
    {{- with $scaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $scaling.behavior | default .behavior }}
  behavior: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* Scaling in stops pods, of a StatefulSet the highest ones, busy or not: not more often than they can drain. */}}
{{- define "litestar-queues.scaleInBehavior" -}}
scaleDown:
  stabilizationWindowSeconds: {{ min 3600 (max 300 (ceil .drainTimeout | int)) }}
{{- end -}}

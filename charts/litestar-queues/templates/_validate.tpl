{{/* What the schema cannot say. Each refusal is one sentence that names the value and the remedy. */}}

{{- define "litestar-queues.validate" -}}
{{- include "litestar-queues.validateDatabase" . -}}
{{- include "litestar-queues.validateEnv" (dict "values" .Values "where" "extraEnv" "ofWorker" true) -}}
{{- range $name := list "web" "exporter" "migrations" "tests" -}}
{{- $component := dict "root" $ "values" (get $.Values $name) -}}
{{- include "litestar-queues.validateSecret" (merge (dict "where" (printf "%s.database.%%s" $name)) $component) -}}
{{- include "litestar-queues.validateEnv" (merge (dict "where" (printf "%s.extraEnv" $name) "ofWorker" false) $component) -}}
{{- end -}}
{{- include "litestar-queues.validateWeb" . -}}
{{- $names := dict -}}
{{- range .Values.worker.pools -}}
{{- if hasKey $names .name -}}
{{- fail (printf "worker.pools has two pools named %q: give each pool a name of its own" .name) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- $pool := include "litestar-queues.pool" (dict "root" $ "pool" .) | fromYaml -}}
{{- include "litestar-queues.validatePool" (dict "root" $ "pool" $pool "where" (printf "worker pool %q" .name)) -}}
{{- end -}}
{{- end -}}

{{- define "litestar-queues.validateDatabase" -}}
{{- if not .Values.database.existingSecret -}}
{{- fail "database.existingSecret is empty: make a Secret that holds the database's URL, and name it there" -}}
{{- end -}}
{{- include "litestar-queues.validateSecret" (dict "root" . "values" .Values "where" "database.%s") -}}
{{- end -}}

{{/* A Secret that is there already must have the keys; one that is not may come later. `where` has a gap for the name. */}}
{{- define "litestar-queues.validateSecret" -}}
{{- if .values.database -}}
{{- $database := include "litestar-queues.database" . | fromYaml -}}
{{- if regexMatch "@|[?&](user|password)=" $database.url -}}
{{- fail (printf "%s names a user or a password, which belong into a Secret: leave them out of it" (printf .where "url")) -}}
{{- end -}}
{{- $keys := $database.url | empty | ternary (list $database.key) (list $database.usernameKey $database.passwordKey) -}}
{{- with lookup "v1" "Secret" .root.Release.Namespace $database.existingSecret -}}
{{- $data := .data | default dict -}}
{{- range $keys -}}
{{- if not (hasKey $data .) -}}
{{- fail (printf "the Secret %q, which %s names, has no key %q: add it, or set the key that it has" $database.existingSecret (printf $.where "existingSecret") .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Variables of a worker by the values that they are taken from; what is set by two names would be set by chance. */}}
{{- define "litestar-queues.takenVariables" -}}
LITESTAR_QUEUES_QUEUE_BACKEND: database
LITESTAR_QUEUES_WORKER_NAME: the pod's name
LITESTAR_QUEUES_WORKER_QUEUES: worker.queues
LITESTAR_QUEUES_WORKER_MAX_CONCURRENCY: worker.concurrency
LITESTAR_QUEUES_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT: worker.drainTimeout
LITESTAR_QUEUES_WORKER_FINAL_CANCEL_TIMEOUT: worker.cancelTimeout
LITESTAR_QUEUES_STARTUP_TIMEOUT: worker.startupTimeout
LITESTAR_QUEUES_HEALTH_HOST: worker.health.host
LITESTAR_QUEUES_HEALTH_PORT: worker.health.port
{{- end -}}

{{- define "litestar-queues.validateEnv" -}}
{{- $taken := include "litestar-queues.takenVariables" . | fromYaml -}}
{{- $taken = .ofWorker | ternary $taken (pick $taken "LITESTAR_QUEUES_QUEUE_BACKEND") -}}
{{- range .values.extraEnv -}}
{{- if hasKey $taken .name -}}
{{- fail (printf "%s sets %s, which the chart takes from %s: leave the variable out" $.where .name (get $taken .name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "litestar-queues.validateWeb" -}}
{{- $web := .Values.web -}}
{{- if $web.enabled -}}
{{- if le ($web.terminationGracePeriodSeconds | int) ($web.preStopSeconds | int) -}}
{{- fail (printf "web.terminationGracePeriodSeconds (%d) must be above web.preStopSeconds (%d): the app would be killed before it is told to stop" ($web.terminationGracePeriodSeconds | int) ($web.preStopSeconds | int)) -}}
{{- end -}}
{{- if and $web.ingress.enabled (not $web.ingress.hosts) -}}
{{- fail "web.ingress.hosts is empty: name at least one host, or leave web.ingress.enabled out" -}}
{{- end -}}
{{- if and $web.httpRoute.enabled (not $web.httpRoute.parentRefs) -}}
{{- fail "web.httpRoute.parentRefs is empty: name the Gateway that the route belongs to, or leave web.httpRoute.enabled out" -}}
{{- end -}}
{{- include "litestar-queues.validateReplicas" (dict "values" $web "where" "web") -}}
{{- end -}}
{{- end -}}

{{- define "litestar-queues.validatePool" -}}
{{- $pool := .pool -}}
{{- if le ($pool.drainTimeout | float64) 0.0 -}}
{{- fail (printf "drainTimeout of %s is %v: give running tasks a time above 0 seconds, or every rollout cancels them" .where $pool.drainTimeout) -}}
{{- end -}}
{{- $least := include "litestar-queues.leastGracePeriod" $pool | int -}}
{{- if and $pool.terminationGracePeriodSeconds (lt ($pool.terminationGracePeriodSeconds | int) $least) -}}
{{- fail (printf "terminationGracePeriodSeconds of %s (%d) is below %d, which is drainTimeout + cancelTimeout + 15: raise it, or leave it out" .where ($pool.terminationGracePeriodSeconds | int) $least) -}}
{{- end -}}
{{- $name := include "litestar-queues.componentName" (dict "root" .root "component" "worker" "pool" $pool.name) -}}
{{- if gt (len $name) 52 -}}
{{- fail (printf "the name %q of %s has %d characters, and Kubernetes allows a StatefulSet 52: shorten the pool's name or fullnameOverride" $name .where (len $name)) -}}
{{- end -}}
{{- $loopback := or (hasPrefix "127." $pool.health.host) (eq $pool.health.host "::1") -}}
{{- if and $loopback (eq $pool.probes.type "http") -}}
{{- fail (printf "health.host of %s is %s, where no kubelet can ask it: use probes.type exec, or health.host 0.0.0.0" .where $pool.health.host) -}}
{{- end -}}
{{- if and $loopback (or .root.Values.metrics.podMonitor .root.Values.metrics.annotations) -}}
{{- fail (printf "health.host of %s is %s, where no Prometheus can scrape it: use 0.0.0.0, or leave metrics.podMonitor and metrics.annotations out" .where $pool.health.host) -}}
{{- end -}}
{{- if and (eq $pool.probes.type "http") (eq $pool.probes.liveness "cli") -}}
{{- fail (printf "probes.liveness of %s is cli, which is a command: use probes.type exec with it" .where) -}}
{{- end -}}
{{- if and $pool.autoscaling.enabled $pool.keda.enabled -}}
{{- fail (printf "autoscaling and keda are both enabled for %s: KEDA makes an autoscaler of its own, so keep one of them" .where) -}}
{{- end -}}
{{- if and $pool.keda.enabled (eq $pool.keda.trigger "metrics-api") (not .root.Values.exporter.enabled) -}}
{{- fail (printf "keda.trigger of %s is metrics-api, which asks the exporter: set exporter.enabled, or use the trigger postgresql" .where) -}}
{{- end -}}
{{- if and $pool.keda.enabled (eq $pool.keda.trigger "postgresql") (include "litestar-queues.database" (dict "root" .root "values" $pool) | fromYaml).url -}}
{{- fail (printf "keda.trigger of %s is postgresql, which needs the whole URL in the Secret: leave database.url out, or use the trigger metrics-api" .where) -}}
{{- end -}}
{{- include "litestar-queues.validateReplicas" (dict "values" $pool "where" .where) -}}
{{- include "litestar-queues.validateSecret" (dict "root" .root "values" $pool "where" (printf "database.%%s of %s" .where)) -}}
{{- include "litestar-queues.validateEnv" (dict "values" $pool "where" (printf "extraEnv of %s" .where) "ofWorker" true) -}}
{{- end -}}

{{/* Fixed and scaled replicas exclude each other, and a budget must leave room for an eviction. */}}
{{- define "litestar-queues.validateReplicas" -}}
{{- $values := .values -}}
{{- $least := kindIs "invalid" $values.replicas | ternary 1 $values.replicas | int -}}
{{- range $name := list "autoscaling" "keda" -}}
{{- $scaling := get $values $name | default dict -}}
{{- if $scaling.enabled -}}
{{- if not (kindIs "invalid" $values.replicas) -}}
{{- fail (printf "replicas of %s is set and %s is enabled too: leave one of them out, or each upgrade undoes the scaling" $.where $name) -}}
{{- end -}}
{{- if gt ($scaling.minReplicas | int) ($scaling.maxReplicas | int) -}}
{{- fail (printf "%s.minReplicas of %s (%d) is above %s.maxReplicas (%d): swap them" $name $.where ($scaling.minReplicas | int) $name ($scaling.maxReplicas | int)) -}}
{{- end -}}
{{- $least = $scaling.minReplicas | int -}}
{{- end -}}
{{- end -}}
{{- $scaling := $values.autoscaling -}}
{{- if and $scaling.enabled (not (or $scaling.targetCPUUtilizationPercentage $scaling.metrics)) -}}
{{- fail (printf "autoscaling of %s has nothing to go by: set targetCPUUtilizationPercentage or metrics" .where) -}}
{{- end -}}
{{- $budget := $values.podDisruptionBudget -}}
{{- if $budget.enabled -}}
{{- $min := $budget.minAvailable -}}
{{- $max := $budget.maxUnavailable -}}
{{- if not (or (kindIs "invalid" $min) (kindIs "invalid" $max)) -}}
{{- fail (printf "podDisruptionBudget of %s has minAvailable and maxUnavailable: Kubernetes accepts one of them" .where) -}}
{{- end -}}
{{- $blocks := or (eq (toString $max) "0") (eq (toString $max) "0%") (eq (toString $min) "100%") -}}
{{- if not (or (kindIs "invalid" $min) $blocks) -}}
{{- if kindIs "string" $min -}}
{{- $blocks = and (le $least 1) (ne $min "0%") -}}
{{- else -}}
{{- $blocks = and (gt ($min | int) 0) (ge ($min | int) $least) -}}
{{- end -}}
{{- end -}}
{{- if $blocks -}}
{{- fail (printf "podDisruptionBudget of %s would block every eviction of its %d pods, and no node could be drained: use maxUnavailable 1, or more replicas" .where $least) -}}
{{- end -}}
{{- end -}}
{{- end -}}

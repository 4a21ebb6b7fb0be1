{{/*
The services by name, each with all that its objects need, computed once:
  process, arguments, target    what runs, and in which image
  topics                        that its consumer group reads, in both lanes, from proto/topics.yaml
  calls                         by alias, its limit of calls in flight to one server
  drain, grace, memory, threshold
A name is a consumer group's, as in topics.yaml: `refiner-medium` is the process `refiner` on the lane `medium`.
*/}}
{{- define "reasonmed.services" -}}
{{- $constants := include "sizing.constants" . | fromJson -}}
{{- $waves := include "reasonmed.recipe" . | fromJson | include "sizing.waves" | fromJson -}}
{{- $pools := include "reasonmed.pools" . | fromJson -}}
{{- $topics := include "reasonmed.topics" . | fromJson -}}
{{- $all := dict -}}
{{- range $name, $given := .Values.services -}}
  {{- $words := splitList "-" $name -}}
  {{- $lane := rest $words | join "-" -}}
  {{- $calls := dict -}}{{- $seconds := 0.0 -}}{{- $drain := 0.0 -}}
  {{- range $wave := get $waves $name | default list -}}
    {{- $longest := 0.0 -}}
    {{- range $alias, $width := $wave -}}
      {{- $pool := get $pools $alias -}}
      {{- if not $pool }}{{ fail (printf "recipe: %s calls the alias %s: add it to `pools`" $name $alias) }}{{ end -}}
      {{- $_ := set $calls $alias (max (get $calls $alias | default 0) (mul $given.cases $width)) -}}
      {{- $longest = maxf $longest $pool.callSeconds -}}
      {{- $drain = maxf $drain $pool.longestSeconds -}}
    {{- end -}}
    {{- $seconds = addf $seconds $longest -}}
  {{- end -}}
  {{- $asks := hasKey $waves $name -}}
  {{- $atOnce := ternary $given.cases 1 $asks -}}
  {{- if not $asks }}{{ $seconds = get $constants.message_s $name }}{{ $drain = $constants.drain_s }}{{ end -}}
  {{- $reads := get $topics $name | default list -}}
  {{- $inFlight := mul ($given.cases | default 0) (max 1 (len $reads)) -}}
  {{- $memory := include "sizing.memory" (dict "constants" $constants "cases" $inFlight "largest" $.Values.kafka.maxMessageBytes) | int64 -}}
  {{- if eq $name "exporter" }}{{ $memory = addf $constants.base_bytes (mulf $constants.copies_of_a_part $constants.part_bytes) | int64 }}{{ end -}}
  {{- if eq $name "gateway" }}{{ $memory = addf $constants.base_bytes $constants.gateway_bytes | int64 }}{{ end -}}
  {{- $preStop := ternary $constants.gateway_pre_stop_s 0 (eq $name "gateway") -}}
  {{- $service := dict
      "process" (first $words)
      "arguments" (ternary (list "--lane" $lane) list (ne $lane ""))
      "target" (ternary "data" "stream" (or (eq $name "exporter") (contains "REASONMED_ADMISSION__" (keys ($given.settings | default dict) | join " "))))
      "asks" $asks "calls" $calls "topics" $reads
      "drain" $drain "preStop" $preStop "memory" $memory
      "grace" (include "sizing.grace" (dict "constants" $constants "drain" $drain "preStop" $preStop) | int64) -}}
  {{- if $seconds }}{{ $_ := set $service "threshold" (include "sizing.threshold" (dict "atOnce" $atOnce "seconds" $seconds "wait" $.Values.waitSeconds) | int64) }}{{ end -}}
  {{- $_ := set $all $name (merge $service $given) -}}
{{- end -}}
{{- $all | toJson -}}
{{- end }}

{{/* The topics that each consumer group reads. */}}
{{- define "reasonmed.topics" -}}
{{- $groups := dict -}}
{{- range $topic, $declared := (.Files.Get "files/topics.yaml" | fromYaml).topics -}}
  {{- if not $declared.compacted -}}
    {{- range $declared.read_by -}}
      {{- $group := $declared.group | default . -}}
      {{- $_ := set $groups $group (append (get $groups $group | default list) $topic) -}}
      {{- if $declared.lanes }}{{ $_ := set $groups $group (append (get $groups $group) (printf "%s-backfill" $topic)) }}{{ end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $groups | toJson -}}
{{- end }}

{{/* The pools by alias: as given, and for those of this chart what follows. */}}
{{- define "reasonmed.pools" -}}
{{- $constants := include "sizing.constants" . | fromJson -}}
{{- $models := (include "reasonmed.recipe" . | fromJson).models -}}
{{- $all := dict -}}
{{- range .Values.pools -}}
  {{- $pool := deepCopy . -}}
  {{- if hasKey $all .alias }}{{ fail (printf "pools: the alias %s is there twice" .alias) }}{{ end -}}
  {{- if .gpus -}}
    {{- $model := get $models .alias | default (dict "served" .model "context_tokens" 32768) -}}
    {{- $_ := merge $pool (dict
        "served" $model.served "contextTokens" ($model.context_tokens | default 32768)
        "baseUrl" (printf "http://%s-pool-%s.%s.svc:8000/v1" $.Release.Name .alias $.Release.Namespace)
        "threshold" (include "sizing.threshold" (dict "atOnce" .maxNumSeqs "seconds" .callSeconds "wait" (max $.Values.waitSeconds $.Values.servers.startSeconds)) | int64)
        "queueCap" (include "sizing.queueCap" (dict "constants" $constants "atOnce" .maxNumSeqs) | int64)
        "grace" (include "sizing.grace" (dict "constants" $constants "drain" .longestSeconds "preStop" $constants.server_pre_stop_s) | int64)) -}}
  {{- end -}}
  {{- $_ := set $all .alias $pool -}}
{{- end -}}
{{- $all | toJson -}}
{{- end }}

{{/* Where each alias is served, as a service's REASONMED_MODELS. A pool of another recipe gets the calls of one wave. */}}
{{- define "reasonmed.endpoints" -}}{{- /* root, service */ -}}
{{- $endpoints := dict -}}
{{- range $alias, $pool := include "reasonmed.pools" .root | fromJson -}}
  {{- $endpoint := dict "base_url" $pool.baseUrl "max_calls" (get $.service.calls $alias | default $.service.cases | int64) -}}
  {{- if $pool.gpus }}{{ $_ := set $endpoint "pool" "dns" }}{{ end -}}
  {{- $_ := set $endpoints $alias $endpoint -}}
{{- end -}}
{{- $endpoints | toJson -}}
{{- end }}

{{/* vLLM's arguments: those of deploy/vllm/arguments, then the pool's. */}}
{{- define "reasonmed.serverArguments" -}}{{- /* root, pool */ -}}
{{- $values := dict "SERVED" .pool.served "CONTEXT_TOKENS" .pool.contextTokens "MAX_NUM_SEQS" .pool.maxNumSeqs "QUEUE_CAP" .pool.queueCap "DRAIN_S" .pool.longestSeconds "PORT" 8000 -}}
{{- $arguments := list (printf "--tensor-parallel-size=%v" .pool.gpus) -}}
{{- with .pool.revision }}{{ $arguments = append $arguments (printf "--revision=%s" .) }}{{ end -}}
{{- range .root.Files.Lines "files/vllm-arguments" -}}
  {{- $line := . -}}
  {{- range $name, $value := $values }}{{ $line = replace (printf "${%s}" $name) (toString $value) $line }}{{ end -}}
  {{- if $line }}{{ $arguments = append $arguments $line }}{{ end -}}
{{- end -}}
{{- concat $arguments (.pool.arguments | default list) | toJson -}}
{{- end }}

{{/* The whole environment of a service. */}}
{{- define "reasonmed.serviceEnv" -}}{{- /* root, name, service */ -}}
{{- include "reasonmed.kafkaEnv" .root }}
{{ include "reasonmed.ledgerEnv" .root }}
- {name: REASONMED_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: REASONMED_HOST, value: ""}  # every address, of both IP families
- {name: REASONMED_PORT, value: "8080"}
- {name: REASONMED_DRAIN_S, value: {{ .service.drain | int64 | quote }}}
{{- with .service.cases }}
- {name: REASONMED_CASES, value: {{ . | int64 | quote }}}
{{- end }}
{{- range $name, $value := .service.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- with .root.Values.traces }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- if .service.asks }}
- {name: REASONMED_MODELS, value: {{ include "reasonmed.endpoints" . | quote }}}
{{- range $pool := .root.Values.pools }}
{{- with $pool.apiKey }}
- {name: REASONMED_MODELS__{{ $pool.alias | upper }}__API_KEY, valueFrom: {secretKeyRef: {{ toJson . }}}}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .name "exporter" }}
- {name: REASONMED_EXPORT__OUT, value: {{ .root.Values.dataset.url | default "/dataset" | quote }}}
- {name: REASONMED_EXPORT__BUFFER_BYTES, value: {{ (include "sizing.constants" .root | fromJson).part_bytes | int64 | quote }}}
{{- end }}
{{- if and (eq .name "gateway") .root.Values.gateway.keysSecret.name }}
- {name: REASONMED_GATEWAY__KEYS, valueFrom: {secretKeyRef: {{ toJson .root.Values.gateway.keysSecret }}}}
{{- end }}
{{- end }}

{{- define "reasonmed.ledgerEnv" -}}
{{- with .Values.ledger -}}
{{- if .secret.name -}}
- {name: REASONMED_LEDGER, valueFrom: {secretKeyRef: {{ toJson .secret }}}}
{{- else -}}
- {name: REASONMED_LEDGER, value: "valkey://{{ $.Release.Name }}-valkey:{{ .port }}/0"}
{{- end -}}
{{- end -}}
{{- end }}

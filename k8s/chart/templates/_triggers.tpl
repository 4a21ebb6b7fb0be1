{{/* What is left for a group or wanted of an alias, as the monitors' /scale says: the most of what the ready ones say. */}}
{{- define "reasonmed.scaleTrigger" -}}{{- /* root, name, location, target */ -}}
- type: metrics-api
  name: {{ .name }}
  metadata:
    url: http://{{ .root.Release.Name }}-monitor.{{ .root.Release.Namespace }}.svc:8080/scale
    valueLocation: {{ .location }}
    targetValue: {{ .target | int64 | quote }}
    aggregateFromKubeServiceEndpoints: "true"
    aggregationType: max
{{- end }}

{{/* Wakes from zero without a monitor: asks for one pod, however much the group lags. */}}
{{- define "reasonmed.wakeTrigger" -}}{{- /* root, group, topic */ -}}
- type: kafka
  name: wake-{{ .group }}-{{ .topic }}
  metadata:
    bootstrapServers: {{ .root.Values.kafka.bootstrap | quote }}
    consumerGroup: {{ .group }}
    topic: {{ .topic }}
    lagThreshold: {{ (include "sizing.constants" .root | fromJson).wake_threshold | int64 | quote }}
    offsetResetPolicy: earliest
    {{- if has .root.Values.kafka.securityProtocol (list "SSL" "SASL_SSL") }}
    tls: enable
    {{- end }}
    {{- if .root.Values.kafka.loginSecret }}
    sasl: {{ get (dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512") .root.Values.kafka.saslMechanism }}
    {{- end }}
  {{- if include "reasonmed.kafkaLogin" .root }}
  authenticationRef: {name: {{ .root.Release.Name }}-kafka}
  {{- end }}
{{- end }}

{{- define "reasonmed.kafkaLogin" -}}{{ if or .Values.kafka.loginSecret .Values.kafka.caSecret .Values.kafka.certSecret }}true{{ end }}{{- end }}

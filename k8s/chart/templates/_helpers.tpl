{{/* The recipe, whose aliases and widths decide who calls which pool. */}}
{{- define "reasonmed.recipe" -}}
{{- $recipe := .Values.recipe | default (.Files.Get "files/recipe.yaml") | fromYaml -}}
{{- range list "models" "generate" "verify" "refine" "reason" "summarize" "routing" -}}
{{- if not (hasKey $recipe .) }}{{ fail (printf "recipe: has no %s: pass what `reasonmed recipes show FILE` prints, with --set-file recipe=…" .) }}{{ end -}}
{{- end -}}
{{- $recipe | toJson -}}
{{- end }}

{{- define "reasonmed.labels" -}}{{- /* root, name */ -}}
app.kubernetes.io/name: reasonmed
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "reasonmed.metadata" -}}{{- /* root, name */ -}}
name: {{ .root.Release.Name }}-{{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "reasonmed.labels" . | nindent 2 }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "reasonmed.image" -}}{{- /* root, target */ -}}
{{- .root.Values.image.repository }}-{{ .target }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{/* Of every pod. A Service of this name would otherwise put REASONMED_PORT=tcp://… into every environment. */}}
{{- define "reasonmed.pod" -}}{{- /* root, name */ -}}
serviceAccountName: {{ .root.Release.Name }}-{{ .name }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, fsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}{{ dict "name" . | list | toYaml | nindent 2 }}{{ end }}
{{- end }}
{{- end }}

{{- define "reasonmed.spread" -}}{{- /* root, name */ -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {{ include "reasonmed.labels" . | fromYaml | toJson }}}
{{- end }}

{{- define "reasonmed.nodes" -}}{{- /* nodeSelector, tolerations */ -}}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "reasonmed.confined" -}}
securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
{{- end }}

{{- define "reasonmed.kafkaEnv" -}}
- {name: REASONMED_KAFKA__BOOTSTRAP, value: {{ .Values.kafka.bootstrap | quote }}}
- {name: REASONMED_KAFKA__SECURITY_PROTOCOL, value: {{ .Values.kafka.securityProtocol }}}
- {name: REASONMED_KAFKA__MAX_MESSAGE_BYTES, value: {{ .Values.kafka.maxMessageBytes | int64 | quote }}}
{{- with .Values.kafka.loginSecret }}
- {name: REASONMED_KAFKA__SASL_MECHANISM, value: {{ $.Values.kafka.saslMechanism }}}
- {name: REASONMED_KAFKA__USERNAME, valueFrom: {secretKeyRef: {name: {{ . }}, key: username}}}
- {name: REASONMED_KAFKA__PASSWORD, valueFrom: {secretKeyRef: {name: {{ . }}, key: password}}}
{{- end }}
{{- if .Values.kafka.caSecret }}
- {name: REASONMED_KAFKA__CAFILE, value: /kafka/ca.crt}
{{- end }}
{{- if .Values.kafka.certSecret }}
- {name: REASONMED_KAFKA__CERTFILE, value: /kafka-login/user.crt}
- {name: REASONMED_KAFKA__KEYFILE, value: /kafka-login/user.key}
{{- end }}
{{- end }}

{{/* The temporary folder is Faust's; the root is read-only. */}}
{{- define "reasonmed.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.kafka.caSecret }}
- {name: kafka-ca, mountPath: /kafka, readOnly: true}
{{- end }}
{{- if .Values.kafka.certSecret }}
- {name: kafka-login, mountPath: /kafka-login, readOnly: true}
{{- end }}
{{- end }}

{{- define "reasonmed.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
{{- with .Values.kafka.caSecret }}
- {name: kafka-ca, secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}}
{{- end }}
{{- with .Values.kafka.certSecret }}
- {name: kafka-login, secret: {secretName: {{ . }}, items: [{key: user.crt, path: user.crt}, {key: user.key, path: user.key}]}}
{{- end }}
{{- end }}

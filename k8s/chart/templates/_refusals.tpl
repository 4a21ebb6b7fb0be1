{{/* What values.schema.json can't say: values that don't fit each other. */}}
{{- define "reasonmed.mayScale" -}}{{- /* root, name, service */ -}}
{{- $values := .root.Values -}}
{{- $topics := (.root.Files.Get "files/topics.yaml" | fromYaml).topics -}}
{{- if gt .service.least .service.most }}{{ fail (printf "services.%s: least %v is more than most %v: lower least" .name .service.least .service.most) }}{{ end -}}
{{- if and .service.topics (gt (int .service.most) (int $values.kafka.partitions)) -}}
  {{- fail (printf "services.%s.most: %v pods, but its topics have %v partitions, and a pod without one is idle: lower most, or raise kafka.partitions before the first install" .name .service.most $values.kafka.partitions) -}}
{{- end -}}
{{- if eq (int .service.least) 0 -}}
  {{- if not .service.topics }}{{ fail (printf "services.%s.least: 0, but nothing would wake it: set 1 or more" .name) }}{{ end -}}
  {{- range .service.topics -}}
    {{- $kept := (get $topics (trimSuffix "-backfill" .)).retention_days -}}
    {{- if lt (int $values.kafka.offsetsRetentionDays) (int $kept) -}}
      {{- fail (printf "services.%s.least: 0, but the offsets of a group without members expire after %v days and %s keeps messages for %v: set least to 1, or offsets.retention.minutes on the brokers and then kafka.offsetsRetentionDays to %v or more" $.name $values.kafka.offsetsRetentionDays . $kept $kept) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and (eq .name "exporter") (gt (int .service.most) 1) (not $values.dataset.url) -}}
  {{- fail "services.exporter.most: more than 1, but a volume is one pod's: set dataset.url to an object storage" -}}
{{- end -}}
{{- end }}

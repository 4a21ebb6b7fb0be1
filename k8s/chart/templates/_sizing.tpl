{{/* The arithmetic of a deployment, as in services/core/sizing, which explains it: `make check` holds both equal. */}}

{{- define "sizing.constants" -}}{{ .Files.Get "files/constants.json" }}{{- end }}

{{- define "sizing.threshold" -}}{{- /* atOnce, seconds, wait */ -}}
{{- max 1 (mulf .atOnce (addf 1 (divf .wait .seconds)) | floor | int64) -}}
{{- end }}

{{- define "sizing.grace" -}}{{- /* constants, drain, preStop */ -}}
{{- addf .constants.after_drain_s .drain (.preStop | default 0) | int64 -}}
{{- end }}

{{- define "sizing.memory" -}}{{- /* constants, cases, largest */ -}}
{{- addf .constants.base_bytes (mulf .constants.copies_of_a_case .cases .largest) | int64 -}}
{{- end }}

{{- define "sizing.queueCap" -}}{{- /* constants, atOnce */ -}}
{{- divf (mulf .atOnce .constants.queue_percent) 100 | ceil | int64 -}}
{{- end }}

{{- define "sizing.startProbes" -}}{{- /* constants, start */ -}}
{{- divf (mulf 2 .start) .constants.probe_s | ceil | int64 -}}
{{- end }}

{{/* By consumer group that calls models, the waves of a case's calls: by alias, how many at once. */}}
{{- define "sizing.waves" -}}
{{- $recipe := . -}}
{{- $plan := dict -}}
{{- range .generate.plan }}{{ $_ := set $plan .alias (add1 (get $plan .alias | default 0)) }}{{ end -}}
{{- $judged := max (len .generate.plan) .routing.keep .routing.strong_paths -}}
{{- $judges := list (dict .verify.alias $judged) -}}
{{- with .score }}{{ $judges = append $judges (dict .alias $judged) }}{{ end -}}
{{- dict "generator" (list $plan)
         "verifier" $judges
         "refiner-medium" (list (dict .refine.alias .routing.keep))
         "refiner-difficult" (list (dict .reason.alias .routing.strong_paths))
         "summarizer" (list (dict .summarize.alias .routing.keep)) | toJson -}}
{{- end }}

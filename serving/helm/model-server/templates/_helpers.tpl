{{- define "model-server.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "model-server.selector" -}}
app.kubernetes.io/name: model-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "model-server.labels" -}}
{{ include "model-server.selector" . }}
app.kubernetes.io/part-of: tfkit
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "model-server.gateway-selector" -}}
app.kubernetes.io/name: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "model-server.gateway-labels" -}}
{{ include "model-server.gateway-selector" . }}
app.kubernetes.io/part-of: tfkit
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "model-server.image" -}}
{{- if eq .Values.server "real" -}}
{{ .Values.image.repository | default "tensorflow/serving" }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- else -}}
{{ .Values.image.repository | default .Values.gateway.image.repository }}:{{ .Values.image.tag | default .Values.gateway.image.tag }}
{{- end -}}
{{- end -}}

{{- define "model-server.claim" -}}
{{- .Values.models.existingClaim | default (printf "%s-models" (include "model-server.fullname" .)) -}}
{{- end -}}

{{- define "model-server.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "model-server.pod-security" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "model-server.fetch" -}}
image: {{ .Values.models.bucket.image }}
env:
  - name: MODELS_BUCKET
    value: {{ .Values.models.bucket.url | quote }}
  - name: FETCH_SECONDS
    value: {{ .Values.models.bucket.intervalSeconds | quote }}
  - name: HOME
    value: /tmp
envFrom:
  - secretRef:
      name: {{ .Values.models.bucket.credentialsSecret }}
resources:
  requests: {cpu: 100m, memory: 128Mi}
  limits: {memory: 256Mi}
securityContext:
  {{- include "model-server.restricted" . | nindent 2 }}
volumeMounts:
  - name: models
    mountPath: /models
  - name: scripts
    mountPath: /scripts
    readOnly: true
  - name: tmp
    mountPath: /tmp
{{- end -}}

{{- define "model-server.probe" -}}
{{- if eq .server "real" -}}
grpc:
  port: 8500
{{- else -}}
httpGet:
  path: {{ .path }}
  port: http
{{- end -}}
{{- end -}}

package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
)

func TestTracingLibraryIsLogged(t *testing.T) {
	var log bytes.Buffer
	logTracing(slog.New(slog.NewJSONHandler(&log, nil)))
	otel.Handle(errors.New("partial success"))
	require.Contains(t, log.String(), `"msg":"the tracing library reports a fault","error":"partial success"`)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "nonsense")
	_, err := otlptracehttp.New(t.Context())
	require.NoError(t, err)
	require.Contains(t, log.String(), "nonsense", "what the library would write to standard error")
}

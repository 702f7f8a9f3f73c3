// The OpenTelemetry collector's Kafka exporter and receiver, as a pipeline of the collector has them.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/exporter/kafkaexporter"
	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/kafka/configkafka"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/kafkareceiver"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"osqdemo/clients/checks"
)

type client struct {
	bootstrap []string
	// Makes topics and looks at groups, which neither of the two does.
	beside *kgo.Client
}

func within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), checks.Deadline)
}

func (client) Name() (string, string) {
	return "OpenTelemetry exporter and receiver",
		checks.Version("github.com/open-telemetry/opentelemetry-collector-contrib/exporter/kafkaexporter")
}

func (its client) Create(topic string, partitions int) error {
	ctx, done := within()
	defer done()
	asked := kmsg.NewCreateTopicsRequestTopic()
	asked.Topic, asked.NumPartitions, asked.ReplicationFactor = topic, int32(partitions), 1
	request := kmsg.NewPtrCreateTopicsRequest()
	request.Topics = append(request.Topics, asked)
	answer, err := request.RequestWith(ctx, its.beside)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(answer.Topics[0].ErrorCode)
}

var exporters, receivers = kafkaexporter.NewFactory(), kafkareceiver.NewFactory()

func (its client) exporting(topic, encoding, codec string) (exporter.Settings, *kafkaexporter.Config) {
	config := exporters.CreateDefaultConfig().(*kafkaexporter.Config)
	config.ClientConfig.Brokers = its.bootstrap
	config.Producer.Compression = codec
	// Which makes its client's producer the idempotent one.
	config.Producer.RequiredAcks = configkafka.WaitForAll
	// What is refused is told to who sends, and not tried again from a queue.
	config.QueueBatchConfig = configoptional.None[exporterhelper.QueueBatchConfig]()
	config.BackOffConfig.Enabled = false
	for _, signal := range []*kafkaexporter.SignalConfig{&config.Logs, &config.Metrics, &config.Traces} {
		signal.Topic, signal.Encoding = topic, encoding
	}
	return exportertest.NewNopSettings(exporters.Type()), config
}

func (its client) receiving(group, topic, encoding string) (receiver.Settings, *kafkareceiver.Config) {
	config := receivers.CreateDefaultConfig().(*kafkareceiver.Config)
	config.ClientConfig.Brokers = its.bootstrap
	config.ClientConfig.ClientID = checks.Unique("receiver")
	config.ConsumerConfig.GroupID = group
	config.ConsumerConfig.InitialOffset = configkafka.EarliestOffset
	config.ConsumerConfig.HeartbeatInterval = 500 * time.Millisecond
	for _, signal := range []*kafkareceiver.TopicEncodingConfig{&config.Logs, &config.Metrics, &config.Traces} {
		signal.Topics, signal.Encoding = []string{topic}, encoding
	}
	return receivertest.NewNopSettings(receivers.Type()), config
}

// started runs something of a collector's while `use` does.
func started(made component.Component, err error, use func(context.Context) error) error {
	if err != nil {
		return err
	}
	ctx, done := within()
	defer done()
	if err := made.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	err = use(ctx)
	return checks.First(err, made.Shutdown(ctx))
}

// Send exports each value as a log record's body; the partition is the exporter's choice.
func (its client) Send(topic string, values []string, _ int, codec string, _ bool) error {
	logs := plog.NewLogs()
	records := logs.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for _, value := range values {
		records.AppendEmpty().Body().SetEmptyBytes().FromRaw([]byte(value))
	}
	settings, config := its.exporting(topic, "raw", codec)
	made, err := exporters.CreateLogs(context.Background(), settings, config)
	return started(made, err, func(ctx context.Context) error { return made.ConsumeLogs(ctx, logs) })
}

// noted keeps the bodies of the logs that come.
func noted(journal *checks.Journal) consumer.Logs {
	made, err := consumer.NewLogs(func(_ context.Context, logs plog.Logs) error {
		for _, resource := range logs.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, record := range scope.LogRecords().All() {
					journal.Add(string(record.Body().Bytes().AsRaw()))
				}
			}
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return made
}

func (its client) Read(topic string, _ int, start checks.Start, count int, committed bool, meanwhile func() error) ([]string, error) {
	switch {
	case committed:
		return nil, checks.Absent("the receiver does not ask for what is committed alone")
	case start.Offset > 0 || start.Time > 0:
		return nil, checks.Absent("the receiver begins at the start or the end")
	}
	settings, config := its.receiving(checks.Unique("reader"), topic, "raw")
	if start.End {
		config.ConsumerConfig.InitialOffset = configkafka.LatestOffset
	}
	journal, values := &checks.Journal{}, []string(nil)
	made, err := receivers.CreateLogs(context.Background(), settings, config, noted(journal))
	err = started(made, err, func(context.Context) error {
		if start.End {
			send := func(value string) error { return its.Send(topic, []string{value}, 0, "none", false) }
			found, err := checks.FromTheEnd(journal.Values, send, meanwhile, count)
			values = found
			return err
		}
		err := checks.Until(func() string { return fmt.Sprintf("%d of %d values", len(journal.Values()), count) },
			func() (bool, error) { return len(journal.Values()) >= count, nil })
		values = journal.Values()
		return err
	})
	return values, err
}

func (client) Transaction(string) (checks.Transaction, error) {
	return nil, checks.Absent("the exporter has no transactions")
}

func (client) Committed(string, string, int) (int64, error) {
	return -1, checks.Absent("the receiver does not tell offsets")
}

type member struct {
	checks.Journal
	its      client
	group    string
	id       string
	receiver receiver.Logs
}

func (its client) Member(group, topic, assignor, instance, protocol string) (checks.Member, error) {
	if protocol != "classic" {
		return nil, checks.Absent("the receiver does not have the newer group protocol")
	}
	settings, config := its.receiving(group, topic, "raw")
	config.ConsumerConfig.GroupInstanceID = instance
	if assignor != "" {
		config.ConsumerConfig.GroupRebalanceStrategies = []configkafka.GroupRebalanceStrategy{
			configkafka.GroupRebalanceStrategy(assignor)}
	}
	made := &member{its: its, group: group, id: config.ClientConfig.ClientID}
	reading, err := receivers.CreateLogs(context.Background(), settings, config, noted(&made.Journal))
	if err != nil {
		return nil, err
	}
	made.receiver = reading
	return made, reading.Start(context.Background(), componenttest.NewNopHost())
}

// Assigned is what the broker says of the group: a receiver does not tell.
func (its *member) Assigned() []int {
	ctx, done := within()
	defer done()
	request := kmsg.NewPtrDescribeGroupsRequest()
	request.Groups = []string{its.group}
	answer, err := request.RequestWith(ctx, its.its.beside)
	if err != nil || answer.Groups[0].State != "Stable" {
		return nil
	}
	var partitions []int
	for _, found := range answer.Groups[0].Members {
		var assignment kmsg.ConsumerMemberAssignment
		if found.ClientID != its.id || assignment.ReadFrom(found.MemberAssignment) != nil {
			continue
		}
		for _, topic := range assignment.Topics {
			for _, partition := range topic.Partitions {
				partitions = append(partitions, int(partition))
			}
		}
	}
	slices.Sort(partitions)
	return partitions
}

// Commit is the receiver's own, each second and at its end.
func (*member) Commit() error { return nil }

func (its *member) Close() error {
	ctx, done := within()
	defer done()
	return its.receiver.Shutdown(ctx)
}

func (client) Admin(string) error {
	return checks.Absent("the exporter and the receiver have no administration")
}

// Further is what they are for: each signal, as OTLP, in and out again.
func (its client) Further() map[string]func() error {
	signals := map[string]func() error{}
	for _, encoding := range []string{"otlp_proto", "otlp_json"} {
		signals["logs, metrics and traces as "+encoding] = func() error {
			return checks.First(its.logs(encoding), its.metrics(encoding), its.traces(encoding))
		}
	}
	return signals
}

// passes waits for what is sent to come in again, with the name that it was given.
func (its client) passes(send func(topic, name string) error, receive func(group, topic string, came func(string)) (component.Component, error)) error {
	topic, name := checks.Unique("topic"), checks.Unique("name")
	if err := its.Create(topic, 1); err != nil {
		return err
	}
	journal := &checks.Journal{}
	made, err := receive(checks.Unique("group"), topic, func(found string) { journal.Add(found) })
	return checks.First(send(topic, name), started(made, err, func(context.Context) error {
		err := checks.Until(func() string { return "nothing came" },
			func() (bool, error) { return len(journal.Values()) > 0, nil })
		return checks.First(err, checks.Expect(strings.Join(journal.Values(), " "), name, "names"))
	}))
}

func (its client) logs(encoding string) error {
	return its.passes(func(topic, name string) error {
		sent := plog.NewLogs()
		sent.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr(name)
		settings, config := its.exporting(topic, encoding, "zstd")
		made, err := exporters.CreateLogs(context.Background(), settings, config)
		return started(made, err, func(ctx context.Context) error { return made.ConsumeLogs(ctx, sent) })
	}, func(group, topic string, came func(string)) (component.Component, error) {
		settings, config := its.receiving(group, topic, encoding)
		next, err := consumer.NewLogs(func(_ context.Context, found plog.Logs) error {
			came(found.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0).Body().Str())
			return nil
		})
		if err != nil {
			return nil, err
		}
		return receivers.CreateLogs(context.Background(), settings, config, next)
	})
}

func (its client) metrics(encoding string) error {
	return its.passes(func(topic, name string) error {
		sent := pmetric.NewMetrics()
		metric := sent.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		metric.SetName(name)
		metric.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1)
		settings, config := its.exporting(topic, encoding, "gzip")
		made, err := exporters.CreateMetrics(context.Background(), settings, config)
		return started(made, err, func(ctx context.Context) error { return made.ConsumeMetrics(ctx, sent) })
	}, func(group, topic string, came func(string)) (component.Component, error) {
		settings, config := its.receiving(group, topic, encoding)
		next, err := consumer.NewMetrics(func(_ context.Context, found pmetric.Metrics) error {
			came(found.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Name())
			return nil
		})
		if err != nil {
			return nil, err
		}
		return receivers.CreateMetrics(context.Background(), settings, config, next)
	})
}

func (its client) traces(encoding string) error {
	return its.passes(func(topic, name string) error {
		sent := ptrace.NewTraces()
		sent.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty().SetName(name)
		settings, config := its.exporting(topic, encoding, "lz4")
		made, err := exporters.CreateTraces(context.Background(), settings, config)
		return started(made, err, func(ctx context.Context) error { return made.ConsumeTraces(ctx, sent) })
	}, func(group, topic string, came func(string)) (component.Component, error) {
		settings, config := its.receiving(group, topic, encoding)
		next, err := consumer.NewTraces(func(_ context.Context, found ptrace.Traces) error {
			came(found.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Name())
			return nil
		})
		if err != nil {
			return nil, err
		}
		return receivers.CreateTraces(context.Background(), settings, config, next)
	})
}

func main() {
	checks.Main(func(bootstrap string) (checks.Client, error) {
		beside, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
		return client{[]string{bootstrap}, beside}, err
	})
}

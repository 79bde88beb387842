BEGIN TRANSACTION;
CREATE TABLE document (
                key INTEGER PRIMARY KEY,
                raw TEXT NOT NULL,
                raw_local TEXT,
                local TEXT NOT NULL
            );
INSERT INTO "document" VALUES(1,'{"id":"told","model":"acme/poet","version":"hidden","status":"succeeded","created_at":"2026-01-01T00:00:00.5Z","input":{"prompt":"Hi"},"output":["Hel","lo"],"logs":"","error":null,"metrics":{"predict_time":1.5,"nested":{"a":1}}}',NULL,'{"tag":"t","notebook":"n.ipynb","created_after_s":0.4,"finished_after_s":2.0,"template":"{{x}}","retries":1}');
INSERT INTO "document" VALUES(2,'{"id":"failed","model":"acme/poet","version":"hidden","status":"failed","created_at":"2026-01-01T00:00:00.5Z","input":{"prompt":"Hi"},"output":null,"logs":"","error":"E1001","metrics":{}}',NULL,'{}');
INSERT INTO "document" VALUES(3,'{"id":"begun","model":"acme/poet","version":"hidden","status":"starting","created_at":"2026-01-01T00:00:00.5Z","input":{"prompt":"Hi"},"output":null,"logs":"","error":null,"metrics":{"predict_time":1.5,"nested":{"a":1}}}',NULL,'{"timings":{"a_s":1.5},"odd":null,"big":1208925819614629174706176,"null\u0000":"a\u0000b"}');
INSERT INTO "document" VALUES(4,'{"id":"drawn","model":"acme/poet","version":"hidden","status":"succeeded","created_at":"2026-01-01T00:00:00.5Z","input":{"prompt":"Hi"},"output":["https://replicate.delivery/x/a.png"],"logs":"","error":null,"metrics":{"predict_time":1.5,"nested":{"a":1}}}',NULL,'{"files":[{"url":"https://replicate.delivery/x/a.png","path":"/home/me/a.png","media_type":"image/png","size_bytes":9,"sha256":"0000000000000000000000000000000000000000000000000000000000000000"}]}');
INSERT INTO "document" VALUES(5,'{"id":"odd","model":"acme/poet","version":"hidden","status":"succeeded","created_at":null,"input":{"prompt":"Hi"},"output":["Hel","lo"],"logs":"","error":null,"metrics":null}','{"theirs":1}','{"remote":true}');
CREATE TABLE prediction (
                key INTEGER PRIMARY KEY,
                id TEXT NOT NULL,
                origin TEXT NOT NULL,
                model TEXT NOT NULL,
                version TEXT,
                status TEXT NOT NULL,
                created_us INTEGER,
                started_us INTEGER,
                completed_us INTEGER,
                error TEXT,
                tag TEXT,
                metrics TEXT NOT NULL,
                local TEXT NOT NULL,
                UNIQUE (id, origin)
            );
INSERT INTO "prediction" VALUES(1,'told','https://api.replicate.com/v1','acme/poet','hidden','succeeded',1767225600500000,NULL,NULL,NULL,'t','{"predict_time":1.5,"nested.a":1}','{"notebook":"n.ipynb","created_after_s":0.4,"finished_after_s":2.0,"retries":1}');
INSERT INTO "prediction" VALUES(2,'failed','https://api.replicate.com/v1','acme/poet','hidden','failed',1767225600500000,NULL,NULL,'E1001',NULL,'{}','{}');
INSERT INTO "prediction" VALUES(3,'begun','http://127.0.0.1:9/v1','acme/poet:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','hidden','starting',1767225600500000,NULL,NULL,NULL,NULL,'{"predict_time":1.5,"nested.a":1}','{"timings.a_s":1.5,"odd":null,"big":1208925819614629174706176,"null\u0000":"a\u0000b"}');
INSERT INTO "prediction" VALUES(4,'drawn','https://api.replicate.com/v1','acme/painter','hidden','succeeded',1767225600500000,NULL,NULL,NULL,NULL,'{"predict_time":1.5,"nested.a":1}','{}');
INSERT INTO "prediction" VALUES(5,'odd','https://api.replicate.com/v1','','hidden','succeeded',NULL,NULL,NULL,NULL,NULL,'{}','{"remote":true}');
CREATE TABLE text (
                key INTEGER PRIMARY KEY,
                prompt TEXT NOT NULL,
                output TEXT NOT NULL
            );
INSERT INTO "text" VALUES(1,'Hi','Hello');
INSERT INTO "text" VALUES(2,'Ärger �','');
INSERT INTO "text" VALUES(3,'Hi','');
INSERT INTO "text" VALUES(4,'Paint','["https://replicate.delivery/x/a.png"]');
INSERT INTO "text" VALUES(5,'','');
CREATE INDEX prediction_created ON prediction (created_us);
CREATE TRIGGER prediction_deleted AFTER DELETE ON prediction BEGIN
                DELETE FROM text WHERE key = old.key;
                DELETE FROM document WHERE key = old.key;
            END;
COMMIT;